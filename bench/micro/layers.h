// Layers of Inception-ResNet-v2 and of EfficientNet-Lite2, and what benchmarks of
// kernels share.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "engine/kernels/conv.h"
#include "engine/memory.h"

namespace oriel::engine::kernels {

// Padding is SAME, images are square.
struct Layer {
  const char* name;
  int64_t size, channels, out;
  int64_t kernel_h, kernel_w, stride;
};

inline constexpr Layer kStemLayer = {"stem", 299, 3, 32, 3, 3, 2};
inline constexpr Layer kLayers[] = {
    {"3x3_147", 147, 32, 64, 3, 3, 1},       {"3x3_71", 71, 80, 192, 3, 3, 1},
    {"1x1_block35", 35, 320, 32, 1, 1, 1},   {"3x3_block35", 35, 48, 64, 3, 3, 1},
    {"1x1_block17", 17, 1088, 192, 1, 1, 1}, {"1x7_block17", 17, 128, 160, 1, 7, 1},
    {"7x1_block17", 17, 160, 192, 7, 1, 1},  {"up_block17", 17, 384, 1088, 1, 1, 1},
    {"1x3_block8", 8, 192, 224, 1, 3, 1},    {"1x1_block8", 8, 2080, 192, 1, 1, 1},
};
inline constexpr Layer kDepthwiseLayers[] = {
    {"3x3_130", 130, 32, 32, 3, 3, 1}, {"3x3_65", 65, 144, 144, 3, 3, 1},
    {"5x5_33", 33, 288, 288, 5, 5, 1}, {"5x5_17", 17, 720, 720, 5, 5, 1},
    {"5x5_9", 9, 1248, 1248, 5, 5, 1},
};

inline ConvShape ShapeOf(const Layer& layer) {
  const int64_t dst = (layer.size + layer.stride - 1) / layer.stride;
  const auto pad = [&](int64_t kernel) {
    return std::max<int64_t>((dst - 1) * layer.stride + kernel - layer.size, 0) / 2;
  };
  return {.src_h = layer.size,
          .src_w = layer.size,
          .src_c = layer.channels,
          .dst_h = dst,
          .dst_w = dst,
          .dst_c = layer.out,
          .kernel_h = layer.kernel_h,
          .kernel_w = layer.kernel_w,
          .stride_h = layer.stride,
          .stride_w = layer.stride,
          .pad_top = pad(layer.kernel_h),
          .pad_left = pad(layer.kernel_w),
          .src_pitch = layer.channels,
          .dst_pitch = layer.out,
          .residual_pitch = layer.out};
}

inline int64_t SrcElements(const ConvShape& s) { return s.src_h * s.src_w * s.src_c; }
inline int64_t DstElements(const ConvShape& s) { return s.dst_h * s.dst_w * s.dst_c; }
// Of direct sums.
inline int64_t Products(const ConvShape& s, bool depthwise) {
  return DstElements(s) * s.kernel_h * s.kernel_w * (depthwise ? 1 : s.src_c);
}

// Memory as a plan has it.
inline std::shared_ptr<float> Floats(int64_t count, float value) {
  const auto memory = AllocateMemory(static_cast<size_t>(count) * sizeof(float));
  auto* const floats = reinterpret_cast<float*>(memory.get());
  std::fill_n(floats, count, value);
  return {memory, floats};
}

// Two operations, an addition and a multiplication, for each product: whatever the
// algorithm does.
inline void SetRate(benchmark::State& state, const char* name, int64_t products) {
  state.counters[name] = benchmark::Counter(
      static_cast<double>(2 * products), benchmark::Counter::kIsIterationInvariantRate);
}

template <typename Run>
void Register(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(run))
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace oriel::engine::kernels
