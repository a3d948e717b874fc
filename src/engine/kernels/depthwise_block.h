// A depthwise convolution together with the pointwise ones before and after it, as in
// inverted residual blocks (Sandler et al., "MobileNetV2", 2018): the image between them
// has several times their channels, and only some lines of it exist at a time.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "engine/kernels/conv.h"

namespace oriel::engine::kernels {

struct DepthwiseBlockShape {
  // Pointwise; writes what `depthwise` reads. Its dst_pitch is not used.
  std::optional<ConvShape> expand;
  // Its src_pitch counts without `expand`, its dst_pitch and residual_pitch without
  // `project`.
  ConvShape depthwise;
  // Pointwise; reads what `depthwise` writes. Its src_pitch is not used.
  std::optional<ConvShape> project;
};

// How a block is computed. All threads together take each line of the result once, or
// each channel between once.
struct DepthwiseBlockWay {
  // Threads share the panels of channels between instead of the lines of the result, as
  // far as there are images for all groups of threads; not with `project`.
  bool by_channels = false;
  int64_t lines = 1;  // of the depthwise result at a time
};

struct DepthwiseBlockArgs {
  const float* src = nullptr;
  const float* weights = nullptr;  // as Pack made them
  const float* residual =
      nullptr;                   // of dst's shape, added before the last clamp; or null
  float* dst = nullptr;          // may be the residual itself, unless that is src
  std::byte* scratch = nullptr;  // scratch_bytes(), aligned to 64
  WorkQueue* queue = nullptr;    // filled with pieces(); null: to each its share
  Bounds expand, depthwise, project;
};

// Immutable, thread-safe.
class DepthwiseBlock {
 public:
  struct LayerWeights {
    std::span<const float> weights;  // as for Conv::Pack; empty: no such layer
    std::span<const float> bias;     // may be empty
  };

  virtual ~DepthwiseBlock() = default;
  virtual const char* name() const = 0;
  virtual const char* weights_form() const = 0;
  virtual size_t packed_floats() const = 0;
  virtual void Pack(const LayerWeights& expand, const LayerWeights& depthwise,
                    const LayerWeights& project, std::span<float> packed) const = 0;
  virtual size_t scratch_bytes() const = 0;  // of all threads
  virtual int64_t pieces(int thread) const = 0;
  virtual void Run(const DepthwiseBlockArgs& args, int thread) const = 0;
};

// At least one of `expand` and `project`.
std::unique_ptr<DepthwiseBlock> MakeDepthwiseBlock(const DepthwiseBlockShape& shape,
                                                   const DepthwiseBlockWay& way,
                                                   int threads, const KernelTable& table);

// The way that is likely to be faster than one convolution after the other; nullopt where
// none is.
std::optional<DepthwiseBlockWay> ChooseDepthwiseBlock(const DepthwiseBlockShape& shape,
                                                      int threads,
                                                      const KernelTable& table);

}  // namespace oriel::engine::kernels
