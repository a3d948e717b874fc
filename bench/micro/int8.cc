// Our own kernels for int8, one thread, on layers of Inception-ResNet-v2 and
// EfficientNet-Lite2: beside kernels.cc, whose layers these are.

#include <fmt/format.h>

#include <vector>

#include "engine/kernels/int8_conv.h"
#include "layers.h"

namespace oriel::engine::kernels {
namespace {

// With a residual the result is kept as floats, too.
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
  const auto src = AllocateMemory(SrcElements(s) + kInt8Slack);
  const auto dst = AllocateMemory(DstElements(s));
  const auto floats = AllocateMemory(DstElements(s) * sizeof(float));
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
  SetRate(state, "OP/s", Products(s, depthwise));
  state.SetLabel(conv->name());
}

constexpr Layer kPointwiseLayers[] = {
    {"expand_130", 130, 16, 96, 1, 1, 1},
    {"expand_65", 65, 24, 144, 1, 1, 1},
    {"project_65", 65, 144, 24, 1, 1, 1},
    {"expand_17", 17, 120, 720, 1, 1, 1},
};
constexpr Layer kResidualLayers[] = {
    {"up_block35", 35, 128, 320, 1, 1, 1},
    {"up_block17", 17, 384, 1088, 1, 1, 1},
    {"project_17", 17, 720, 120, 1, 1, 1},
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
  const auto add = [](const char* kind, std::span<const Layer> layers, bool depthwise,
                      bool residual) {
    for (const Layer& layer : layers) {
      Register(fmt::format("{}/{}", kind, layer.name), [=](benchmark::State& state) {
        RunConv(state, ShapeOf(layer), depthwise, residual);
      });
    }
  };
  add("Int8Direct", kLayers, false, false);
  add("Int8Direct", kPointwiseLayers, false, false);
  add("Int8Residual", kResidualLayers, false, true);
  add("Int8Depthwise", kDepthwiseLayers, true, false);
  benchmark::RegisterBenchmark("Int8Quantize", Quantize);
  benchmark::RegisterBenchmark("Int8MaxPool/9x192", MaxPool);
  return true;
}();

}  // namespace
}  // namespace oriel::engine::kernels
