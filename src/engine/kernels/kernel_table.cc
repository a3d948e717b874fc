#include "engine/kernels/kernel_table.h"

#include <unistd.h>

#include <algorithm>

#include "engine/kernels/conv.h"
#include "engine/kernels/isa.h"

namespace oriel::engine::kernels {

#if defined(__x86_64__)
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Kernels;
#endif

const KernelTable* FindKernelTable() {
#if defined(__x86_64__)
  if (MaxIsa() >= Isa::kAvx512) return &kAvx512Kernels;
  if (MaxIsa() >= Isa::kAvx2) return &kAvx2Kernels;
#endif
  return nullptr;
}

Range PixelsInside(const ConvShape& shape) {
  const int64_t extent = (shape.kernel_w - 1) * shape.dilation_w + 1;
  // x * stride - pad >= 0 and x * stride - pad + extent <= src_w
  const int64_t first = (shape.pad_left + shape.stride_w - 1) / shape.stride_w;
  const int64_t room = shape.src_w + shape.pad_left - extent;
  const int64_t end = room < 0 ? 0 : room / shape.stride_w + 1;
  const int64_t begin = std::min(first, shape.dst_w);
  return {begin, std::clamp(end, begin, shape.dst_w)};
}

int64_t SecondLevelCache() {
  static const int64_t bytes = [] {
    constexpr int64_t kUsual = 512 << 10;
    const int64_t said = sysconf(_SC_LEVEL2_CACHE_SIZE);  // 0 where it is not known
    return said > 0 ? std::clamp<int64_t>(said, 256 << 10, 4 << 20) : kUsual;
  }();
  return bytes;
}

}  // namespace oriel::engine::kernels
