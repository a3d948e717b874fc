// Maximum and mean over windows of [N,H,W,C] float32 images.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/kernels/conv.h"

namespace oriel::engine::kernels {

// Of the shape's kernel, strides and padding; dst_c is src_c. Cells outside the image
// count for nothing: the mean divides by those inside. Immutable, thread-safe.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual const char* name() const = 0;
  virtual size_t scratch_bytes() const = 0;  // of all threads
  // The share of `thread`, as Conv::Run.
  virtual void Run(const float* src, float* dst, std::byte* scratch,
                   int thread) const = 0;
};

std::unique_ptr<Pool> MakePool(const ConvShape& shape, bool mean, int threads,
                               const KernelTable& table);

}  // namespace oriel::engine::kernels
