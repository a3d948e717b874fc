// ResizeBilinear, ResizeBicubic, ResizeNearestNeighbor, ResizeArea of images [N,H,W,C],
// float32 or uint8.
#pragma once

#include "engine/ir.h"
#include "image/resize.h"

namespace oriel::engine {

struct ResizeAttrs : OpAttrs {
  image::ResizeMethod method = image::ResizeMethod::kBilinear;
  image::PixelGrid grid = image::PixelGrid::kLegacy;
};

}  // namespace oriel::engine
