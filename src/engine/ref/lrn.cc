#include "engine/ops/lrn.h"

#include <algorithm>
#include <cmath>

#include "engine/ref/kernels.h"

namespace oriel::engine::ref {

void Lrn(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<LrnAttrs>();
  const int64_t channels = in[0].shape.dim(3);
  const float* src = in[0].as<float>();
  float* dst = out[0].as<float>();
  for (int64_t left = in[0].elements(); left > 0; left -= channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = std::max<int64_t>(c - attrs.radius, 0);
      const int64_t last = std::min(c + attrs.radius, channels - 1);
      double sum = 0;
      for (int64_t i = first; i <= last; ++i) sum += double{src[i]} * src[i];
      dst[c] = static_cast<float>(src[c] *
                                  std::pow(attrs.bias + attrs.alpha * sum, -attrs.beta));
    }
    src += channels;
    dst += channels;
  }
}

}  // namespace oriel::engine::ref
