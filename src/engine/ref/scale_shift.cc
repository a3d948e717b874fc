#include "engine/ref/kernels.h"

namespace oriel::engine::ref {

void ScaleShift(const Op&, Inputs in, Outputs out) {
  const int64_t channels = in[1].elements();
  const float* const scale = in[1].as<float>();
  const float* const shift = in[2].as<float>();
  const float* src = in[0].as<float>();
  float* dst = out[0].as<float>();
  for (int64_t left = in[0].elements(); left > 0; left -= channels) {
    for (int64_t c = 0; c < channels; ++c) dst[c] = src[c] * scale[c] + shift[c];
    src += channels;
    dst += channels;
  }
}

}  // namespace oriel::engine::ref
