// FusedPadConv2D and FusedResizeAndPadConv2D: a bilinear resize, a mirrored border and a
// convolution, as TensorFlow's optimize_for_inference puts them together.
//   inputs kept: image [N,H,W,C], filter [kh,kw,C,out]
// Every image of a batch is computed; TensorFlow 2.21's kernels get only the first right.
#pragma once

#include <memory>

#include "engine/ops/array_ops.h"
#include "engine/ops/conv.h"

namespace oriel::engine {

struct FusedConvAttrs : OpAttrs {
  bool resizes = false;
  bool align_corners = false;
  Shape resized;  // [N,H,W,C], the image's own without a resize
  Shape padded;
  PadAttrs pad;    // MirrorPad from `resized` to `padded`
  ConvAttrs conv;  // Conv2D of `padded`
  // Of a ResizeBilinear from the image to `resized`; null where it does not resize.
  std::shared_ptr<const OpAttrs> resize;
};

// Replaces these operations by ResizeBilinear, MirrorPad and Conv2D, which have better
// kernels, and with which others can be fused.
void SplitFusedConvolutions(Ir& ir);

}  // namespace oriel::engine
