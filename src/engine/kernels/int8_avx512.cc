#include "engine/kernels/int8_impl.h"

namespace oriel::engine::kernels {

extern const Int8Table kInt8Avx512;
constexpr Int8Table kInt8Avx512 = avx512::MakeInt8Table("avx512");

}  // namespace oriel::engine::kernels
