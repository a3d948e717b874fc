// Maximum and mean over windows of [N,H,W,C] images of float32, maximum of those of u8.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/kernels/conv.h"
#include "engine/kernels/int8_table.h"

namespace oriel::engine::kernels {

// Of the shape's kernel, strides and padding; dst_c is src_c. Cells outside the image
// count for nothing: the mean divides by those inside. Immutable, thread-safe.
template <typename T>
class PoolOf {
 public:
  virtual ~PoolOf() = default;
  virtual const char* name() const = 0;
  virtual size_t scratch_bytes() const = 0;  // of all threads
  // The share of `thread`, as Conv::Run.
  virtual void Run(const T* src, T* dst, std::byte* scratch, int thread) const = 0;
};
using Pool = PoolOf<float>;
using BytePool = PoolOf<uint8_t>;

std::unique_ptr<Pool> MakePool(const ConvShape& shape, bool mean, int threads,
                               const KernelTable& table);
std::unique_ptr<BytePool> MakeBytePool(const ConvShape& shape, int threads,
                                       const Int8Table& table);

}  // namespace oriel::engine::kernels
