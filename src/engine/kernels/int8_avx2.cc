#include "engine/kernels/int8_impl.h"

namespace oriel::engine::kernels {

extern const Int8Table kInt8Avx2;
constexpr Int8Table kInt8Avx2 = avx2::MakeInt8Table("avx2");

}  // namespace oriel::engine::kernels
