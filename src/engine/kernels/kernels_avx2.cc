#include "engine/kernels/kernels_impl.h"

namespace oriel::engine::kernels {

extern const KernelTable kAvx2Kernels;
constexpr KernelTable kAvx2Kernels = avx2::MakeTable("avx2", 2);

}  // namespace oriel::engine::kernels
