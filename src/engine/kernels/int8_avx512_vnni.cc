#include "engine/kernels/int8_impl.h"

namespace oriel::engine::kernels {

extern const Int8Table kInt8Avx512Vnni;
constexpr Int8Table kInt8Avx512Vnni = avx512_vnni::MakeInt8Table("avx512_vnni");

}  // namespace oriel::engine::kernels
