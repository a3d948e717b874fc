// Local response normalization across channels:
//   dst[c] = src[c] / (bias + alpha * sum of src[c - radius .. c + radius]^2)^beta
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

struct LrnAttrs : OpAttrs {
  int64_t radius = 5;
  float bias = 1, alpha = 1, beta = 0.5f;
};

}  // namespace oriel::engine
