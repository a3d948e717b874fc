#include "engine/ops/top_k.h"

#include <algorithm>

#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// NaN counts as the least.
bool Before(float a, float b) { return a > b || (b != b && a == a); }

template <typename T>
void ArgMostOf(const ArgMostAttrs& attrs, const ConstArray& in, T* dst) {
  const int64_t size = in.shape.dim(attrs.axis);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < attrs.axis; ++i) outer *= in.shape.dim(i);
  for (int i = attrs.axis + 1; i < in.shape.rank(); ++i) inner *= in.shape.dim(i);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const float* const src = in.as<float>() + o * size * inner + i;
      int64_t best = 0;
      for (int64_t k = 1; k < size; ++k) {
        const float value = src[k * inner], most = src[best * inner];
        if (attrs.least ? value < most : value > most) best = k;
      }
      *dst++ = static_cast<T>(best);
    }
  }
}

}  // namespace

void ArgMost(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<ArgMostAttrs>();
  if (out[0].elements() == 0) return;
  if (out[0].dtype == DType::kInt32) {
    ArgMostOf(attrs, in[0], out[0].as<int32_t>());
  } else {
    ArgMostOf(attrs, in[0], out[0].as<int64_t>());
  }
}

// The best ones so far stand sorted in the output; each number finds its place there.
void TopK(const Op& op, Inputs in, Outputs out) {
  const int64_t k = op.attrs_as<TopKAttrs>().k;
  const int64_t size = in[0].shape.dim(-1);
  if (k == 0) return;
  const int64_t rows = out[0].elements() / k;
  for (int64_t row = 0; row < rows; ++row) {
    const float* const src = in[0].as<float>() + row * size;
    float* const values = out[0].as<float>() + row * k;
    int32_t* const indices = out[1].as<int32_t>() + row * k;
    for (int64_t i = 0; i < size; ++i) {
      const int64_t held = std::min(i, k);
      if (held == k && !Before(src[i], values[k - 1])) continue;
      const int64_t place =
          std::upper_bound(values, values + held, src[i], Before) - values;
      const int64_t moved = std::min(held, k - 1) - place;
      std::copy_backward(values + place, values + place + moved,
                         values + place + moved + 1);
      std::copy_backward(indices + place, indices + place + moved,
                         indices + place + moved + 1);
      values[place] = src[i];
      indices[place] = static_cast<int32_t>(i);
    }
  }
}

}  // namespace oriel::engine::ref
