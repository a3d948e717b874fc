#include <algorithm>
#include <cmath>

#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// Calls store(dst, value - most, sum of exp(value - most)) for each value of each row.
template <typename Store>
void ForRows(Inputs in, Outputs out, Store store) {
  const int64_t size = in[0].shape.dim(-1);
  const int64_t rows = in[0].elements() / size;
  for (int64_t r = 0; r < rows; ++r) {
    const float* src = in[0].as<float>() + r * size;
    float* dst = out[0].as<float>() + r * size;
    const float most = *std::max_element(src, src + size);
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += std::exp(static_cast<double>(src[i]) - most);
    for (int64_t i = 0; i < size; ++i) {
      store(dst[i], static_cast<double>(src[i]) - most, sum);
    }
  }
}

}  // namespace

void Softmax(const Op&, Inputs in, Outputs out) {
  ForRows(in, out, [](float& dst, double below, double sum) {
    dst = static_cast<float>(std::exp(below) / sum);
  });
}

void LogSoftmax(const Op&, Inputs in, Outputs out) {
  ForRows(in, out, [](float& dst, double below, double sum) {
    dst = static_cast<float>(below - std::log(sum));
  });
}

}  // namespace oriel::engine::ref
