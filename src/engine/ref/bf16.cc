#include "engine/bf16/rounding.h"
#include "engine/ref/kernels.h"

namespace oriel::engine::ref {

void RoundToBf16(const Op&, Inputs in, Outputs out) {
  const float* src = in[0].as<float>();
  float* dst = out[0].as<float>();
  for (int64_t i = 0; i < in[0].elements(); ++i) dst[i] = engine::RoundToBf16(src[i]);
}

}  // namespace oriel::engine::ref
