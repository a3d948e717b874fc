#include "engine/kernels/int8_table.h"

#include "engine/kernels/isa.h"

namespace oriel::engine::kernels {

#if defined(__x86_64__)
extern const Int8Table kInt8Avx2;
extern const Int8Table kInt8Avx512;
extern const Int8Table kInt8Avx512Vnni;
#endif

const Int8Table* FindInt8Table() {
#if defined(__x86_64__)
  if (MaxIsa() >= Isa::kAvx512Vnni) return &kInt8Avx512Vnni;
  if (MaxIsa() >= Isa::kAvx512) return &kInt8Avx512;
  if (MaxIsa() >= Isa::kAvx2) return &kInt8Avx2;
#endif
  return nullptr;
}

}  // namespace oriel::engine::kernels
