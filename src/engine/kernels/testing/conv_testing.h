// Shapes, numbers and sums in double precision, for tests of kernels.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/conv.h"
#include "engine/kernels/isa.h"

namespace oriel::engine::kernels {

class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    table_ = FindKernelTable();
    if (table_ == nullptr) GTEST_SKIP() << "no kernels for " << IsaName(MaxIsa());
  }
  const KernelTable* table_ = nullptr;
};

// Of images that are no slices; `same` as TensorFlow's padding, else VALID.
inline ConvShape DenseShape(int64_t batch, int64_t h, int64_t w, int64_t c, int64_t out,
                            int64_t kernel_h, int64_t kernel_w, int64_t stride, bool same,
                            int64_t dilation_h = 1, int64_t dilation_w = 1) {
  const int64_t extent_h = (kernel_h - 1) * dilation_h + 1;
  const int64_t extent_w = (kernel_w - 1) * dilation_w + 1;
  const auto size = [&](int64_t src, int64_t extent) {
    return same ? (src + stride - 1) / stride : (src - extent) / stride + 1;
  };
  const auto pad = [&](int64_t src, int64_t extent) {
    const int64_t covered = (size(src, extent) - 1) * stride + extent;
    return same ? std::max<int64_t>(covered - src, 0) / 2 : 0;
  };
  return {.batch = batch,
          .src_h = h,
          .src_w = w,
          .src_c = c,
          .dst_h = size(h, extent_h),
          .dst_w = size(w, extent_w),
          .dst_c = out,
          .kernel_h = kernel_h,
          .kernel_w = kernel_w,
          .stride_h = stride,
          .stride_w = stride,
          .dilation_h = dilation_h,
          .dilation_w = dilation_w,
          .pad_top = pad(h, extent_h),
          .pad_left = pad(w, extent_w),
          .src_pitch = c,
          .dst_pitch = out,
          .residual_pitch = out};
}

// The same of slices of wider images.
inline ConvShape Slices(ConvShape s) {
  s.src_pitch += 3;
  s.dst_pitch += 5;
  s.residual_pitch += 2;
  return s;
}

inline std::string Describe(const ConvShape& s) {
  return fmt::format("{}x{}x{}x{}/{} -> {}x{}x{}/{} by {}x{} stride {} dilation {}x{}",
                     s.batch, s.src_h, s.src_w, s.src_c, s.src_pitch, s.dst_h, s.dst_w,
                     s.dst_c, s.dst_pitch, s.kernel_h, s.kernel_w, s.stride_h,
                     s.dilation_h, s.dilation_w);
}

// What a convolution by direct sums has to get right: all numbers of panels, odd sizes,
// filters of all forms, many channels, dilations.
inline std::vector<ConvShape> DirectShapes() {
  std::vector<ConvShape> shapes;
  for (const bool same : {true, false}) {
    for (const int64_t out : {1, 7, 8, 24, 33, 40, 96, 130}) {
      shapes.push_back(DenseShape(2, 9, 11, 5, out, 3, 3, 1, same));
    }
    shapes.push_back(DenseShape(1, 30, 31, 3, 32, 3, 3, 2, same));
    shapes.push_back(DenseShape(1, 17, 17, 24, 40, 1, 7, 1, same));
    shapes.push_back(DenseShape(1, 17, 17, 24, 40, 7, 1, 1, same));
    shapes.push_back(DenseShape(1, 35, 35, 48, 64, 5, 5, 1, same));
  }
  shapes.push_back(DenseShape(1, 1, 3, 70, 19, 1, 1, 1, true));
  shapes.push_back(DenseShape(3, 8, 8, 448, 208, 1, 1, 1, true));
  shapes.push_back(DenseShape(2, 9, 9, 30, 20, 1, 1, 2, true));
  shapes.push_back(DenseShape(1, 20, 20, 8, 16, 3, 3, 1, true, 2, 3));
  return shapes;
}

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

constexpr float kUntouched = 12345;  // what results hold before a kernel runs

// The largest difference of `got`, which has the shape's dst_pitch, from the clamped
// sums, in units of the sums' standard deviation. Also checks that nothing but the
// image's channels was written.
inline double Error(const ConvShape& s, std::span<const float> got,
                    std::span<const double> sums, double low, double high) {
  double worst = 0, squares = 0;
  for (int64_t p = 0; p < s.batch * s.dst_h * s.dst_w; ++p) {
    for (int64_t o = 0; o < s.dst_pitch; ++o) {
      const float value = got[p * s.dst_pitch + o];
      if (o >= s.dst_c) {
        EXPECT_EQ(value, kUntouched) << "pixel " << p;
        continue;
      }
      const double sum = sums[p * s.dst_c + o];
      squares += sum * sum;
      const double error = std::abs(std::clamp(sum, low, high) - value);
      worst = std::isnan(value) ? INFINITY : std::max(worst, error);
    }
  }
  return worst / std::sqrt(squares / static_cast<double>(sums.size()));
}

// All threads' shares, the last thread's first. `stolen`: in pieces, all of which the
// last thread takes.
template <typename Kernel, typename Args>
void RunAll(const Kernel& kernel, Args args, int threads, bool stolen = false) {
  AlignedBytes scratch(kernel.scratch_bytes());
  args.scratch = scratch.get();
  WorkQueue queue(threads);
  if constexpr (requires { args.queue; }) {
    if (stolen) args.queue = &queue;
    for (int thread = 0; thread < threads; ++thread) {
      queue.Fill(thread, kernel.pieces(thread));
    }
  }
  for (int thread = threads - 1; thread >= 0; --thread) kernel.Run(args, thread);
}

}  // namespace oriel::engine::kernels
