// One line of a depthwise convolution's result, read from lines that lie anywhere.
#pragma once

#include "engine/kernels/conv.h"
#include "engine/kernels/scratch.h"

namespace oriel::engine::kernels {

// Immutable, thread-safe.
class DepthwiseLine {
 public:
  struct Work {
    const float** lines;  // the caller's to fill: see Args
    const float** rows;
    int32_t* first_taps;
  };
  struct Args {
    // For each row of the filter the line's first pixel; null outside the image.
    const Work* work = nullptr;
    int64_t src_pitch = 0;           // floats from one pixel to the next
    const float* weights = nullptr;  // [tap][weights_pitch]
    int64_t weights_pitch = 0;
    const float* bias = nullptr;
    float* dst = nullptr;  // the line's first pixel
    int64_t dst_pitch = 0;
    const float* residual = nullptr;  // null: none
    int64_t residual_pitch = 0;
    int channels = 0;
    float low = 0, high = 0;
  };

  // Of the shape, what is along the width and the height of the kernel counts.
  DepthwiseLine(const ConvShape& shape, const KernelTable& table);

  Work Carve(Scratch& scratch) const;  // for one thread
  void Run(const Args& args) const;

 private:
  void RunPixels(const Args& args, Range pixels, Range channels) const;

  ConvShape shape_;
  const KernelTable& table_;
  DepthwiseKind kind_ = DepthwiseKind::kAny;
  Range inside_;       // pixels of the result all of whose taps are inside the image
  int64_t block_ = 0;  // channels whose taps stay in the nearest cache
};

}  // namespace oriel::engine::kernels
