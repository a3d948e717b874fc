#include "engine/kernels/kernels_impl.h"

namespace oriel::engine::kernels {

extern const KernelTable kAvx512Kernels;
constexpr KernelTable kAvx512Kernels = avx512::MakeTable("avx512", 1);

}  // namespace oriel::engine::kernels
