// Convolutions in double precision, for tests of kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "engine/kernels/conv.h"

namespace oriel::engine::kernels {

inline std::vector<float> RandomFloats(int64_t count, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = uniform(random);
  return values;
}

// Scratch memory at an address that kernels may ask for.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : memory_(bytes + 64) {}
  std::byte* get() {
    return memory_.data() + 64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64;
  }

 private:
  std::vector<std::byte> memory_;
};

// clamp(bias + sums + residual), dense [batch,dst_h,dst_w,dst_c]. `src` and `residual`
// (which may be empty) have the shape's pitches; weights are [kh,kw,src_c,dst_c], of a
// depthwise convolution [kh,kw,dst_c].
template <typename T>
std::vector<double> DoubleConv(const ConvShape& s, bool depthwise, std::span<const T> src,
                               std::span<const float> weights,
                               std::span<const float> bias,
                               std::span<const float> residual, double low, double high) {
  std::vector<double> dst;
  const int64_t inputs = depthwise ? 1 : s.src_c;
  for (int64_t p = 0; p < s.batch * s.dst_h * s.dst_w; ++p) {
    const int64_t n = p / (s.dst_h * s.dst_w), y = p / s.dst_w % s.dst_h, x = p % s.dst_w;
    for (int64_t o = 0; o < s.dst_c; ++o) {
      double sum =
          bias[o] + (residual.empty() ? 0.0 : residual[p * s.residual_pitch + o]);
      for (int64_t tap = 0; tap < s.kernel_h * s.kernel_w; ++tap) {
        const int64_t iy = y * s.stride_h - s.pad_top + tap / s.kernel_w * s.dilation_h;
        const int64_t ix = x * s.stride_w - s.pad_left + tap % s.kernel_w * s.dilation_w;
        if (iy < 0 || iy >= s.src_h || ix < 0 || ix >= s.src_w) continue;
        const T* pixel = &src[((n * s.src_h + iy) * s.src_w + ix) * s.src_pitch];
        for (int64_t i = 0; i < inputs; ++i) {
          sum += double{pixel[depthwise ? o : i]} *
                 weights[(tap * inputs + i) * s.dst_c + o];
        }
      }
      dst.push_back(std::clamp(sum, low, high));
    }
  }
  return dst;
}

}  // namespace oriel::engine::kernels
