// Our own kernels for int8, one thread, on layers of Inception-ResNet-v2 and
// EfficientNet-Lite2: beside kernels.cc, whose layers these are.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/kernels/int8_conv.h"
#include "engine/memory.h"

namespace oriel::engine::kernels {
namespace {

struct Layer {
  const char* name;
  int64_t size, channels, out;  // the image is square
  int64_t kernel_h, kernel_w, stride;
};

ConvShape ShapeOf(const Layer& layer) {
  const int64_t dst = (layer.size + layer.stride - 1) / layer.stride;  // SAME
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

// OP/s of direct sums: two for each product. With a residual the result is kept as
// floats, too.
void RunConv(benchmark::State& state, const ConvShape& s, bool depthwise, bool residual) {
  const ActivationQuantization quantization = {
      .scale = 0.05f, .inverse_scale = 20, .max = 127};
  const Int8Shape shape{.conv = s,
                        .input = quantization,
                        .floats = residual,
                        .bytes = quantization,
                        .bytes_pitch = s.dst_c};
  const Int8Table& table = *FindInt8Table();
  const auto conv =
      depthwise ? MakeInt8DepthwiseConv(shape, 1, table) : MakeInt8Conv(shape, 1, table);
  const auto pixels = s.dst_h * s.dst_w;
  const auto src = AllocateMemory(s.src_h * s.src_w * s.src_c + kInt8Slack);
  const auto dst = AllocateMemory(pixels * s.dst_c);
  const auto floats = AllocateMemory(pixels * s.dst_c * sizeof(float));
  const auto packed = AllocateMemory(conv->packed_bytes());
  const auto scratch = AllocateMemory(conv->scratch_bytes());
  for (auto _ : state) {
    conv->Run({.src = reinterpret_cast<const uint8_t*>(src.get()),
               .weights = packed.get(),
               .residual = residual ? reinterpret_cast<float*>(floats.get()) : nullptr,
               .floats = reinterpret_cast<float*>(floats.get()),
               .bytes = reinterpret_cast<uint8_t*>(dst.get()),
               .scratch = scratch.get(),
               .low = 0},
              0);
    benchmark::ClobberMemory();
  }
  const auto ops = static_cast<double>(2 * pixels * s.dst_c * s.kernel_h * s.kernel_w *
                                       (depthwise ? 1 : s.src_c));
  state.counters["OP/s"] =
      benchmark::Counter(ops, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(conv->name());
}

constexpr Layer kLayers[] = {
    {"3x3_147", 147, 32, 64, 3, 3, 1},       {"3x3_71", 71, 80, 192, 3, 3, 1},
    {"1x1_block35", 35, 320, 32, 1, 1, 1},   {"3x3_block35", 35, 48, 64, 3, 3, 1},
    {"1x1_block17", 17, 1088, 192, 1, 1, 1}, {"1x7_block17", 17, 128, 160, 1, 7, 1},
    {"7x1_block17", 17, 160, 192, 7, 1, 1},  {"up_block17", 17, 384, 1088, 1, 1, 1},
    {"1x3_block8", 8, 192, 224, 1, 3, 1},    {"1x1_block8", 8, 2080, 192, 1, 1, 1},
    {"expand_130", 130, 16, 96, 1, 1, 1},    {"expand_65", 65, 24, 144, 1, 1, 1},
    {"project_65", 65, 144, 24, 1, 1, 1},    {"expand_17", 17, 120, 720, 1, 1, 1},
};
constexpr Layer kResidualLayers[] = {
    {"up_block35", 35, 128, 320, 1, 1, 1},
    {"up_block17", 17, 384, 1088, 1, 1, 1},
    {"project_17", 17, 720, 120, 1, 1, 1},
};
constexpr Layer kDepthwiseLayers[] = {
    {"3x3_130", 130, 32, 32, 3, 3, 1}, {"3x3_65", 65, 144, 144, 3, 3, 1},
    {"5x5_33", 33, 288, 288, 5, 5, 1}, {"5x5_17", 17, 720, 720, 5, 5, 1},
    {"5x5_9", 9, 1248, 1248, 5, 5, 1},
};

void Quantize(benchmark::State& state) {
  constexpr int64_t kCount = 1 << 16;
  const std::vector<float> src(kCount, 1.0f);
  std::vector<uint8_t> dst(kCount);
  const Requantize to = RequantizeTo({.scale = 0.05f, .inverse_scale = 20});
  for (auto _ : state) {
    FindInt8Table()->quantize(src.data(), kCount, to, dst.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kCount);
}

void MaxPool(benchmark::State& state) {
  constexpr int kChannels = 192;
  const std::vector<uint8_t> pixel(kChannels, 7);
  const std::vector<const uint8_t*> src(9, pixel.data());
  std::vector<uint8_t> dst(kChannels);
  for (auto _ : state) {
    FindInt8Table()->max_pool({.src = src.data(),
                               .pixels = static_cast<int>(src.size()),
                               .dst = dst.data(),
                               .channels = kChannels});
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kChannels * 9);
}

// Where the CPU has no kernels of ours there is nothing to register.
const bool kRegistered = [] {
  if (FindInt8Table() == nullptr) return false;
  const auto add = [](const std::string& name, const Layer& layer, bool depthwise,
                      bool residual) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      RunConv(state, ShapeOf(layer), depthwise, residual);
    })->Unit(benchmark::kMicrosecond);
  };
  for (const Layer& layer : kLayers) {
    add(fmt::format("Int8Direct/{}", layer.name), layer, false, false);
  }
  for (const Layer& layer : kResidualLayers) {
    add(fmt::format("Int8Residual/{}", layer.name), layer, false, true);
  }
  for (const Layer& layer : kDepthwiseLayers) {
    add(fmt::format("Int8Depthwise/{}", layer.name), layer, true, false);
  }
  benchmark::RegisterBenchmark("Int8Quantize", Quantize);
  benchmark::RegisterBenchmark("Int8MaxPool/9x192", MaxPool);
  return true;
}();

}  // namespace
}  // namespace oriel::engine::kernels
