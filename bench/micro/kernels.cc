// Our own kernels, one thread, on layers of Inception-ResNet-v2 and EfficientNet-Lite2.
// Weights and images lie in the cache as far as they fit: a layer of a whole plan finds
// them farther away (oriel bench --profile).

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "engine/kernels/conv.h"
#include "engine/kernels/pool.h"
#include "engine/kernels/stem_conv.h"
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

std::shared_ptr<float> Ones(int64_t count) {
  const auto memory = AllocateMemory(static_cast<size_t>(count) * sizeof(float));
  auto* const floats = reinterpret_cast<float*>(memory.get());
  std::fill_n(floats, count, 1.0f);
  return {memory, floats};
}

int64_t Elements(int64_t h, int64_t w, int64_t c) { return h * w * c; }

// GFLOP/s of direct sums, whatever the algorithm does.
void RunConv(benchmark::State& state, const ConvShape& shape, const Conv& conv,
             int64_t channels_of_a_filter) {
  const auto src = Ones(Elements(shape.src_h, shape.src_w, shape.src_c));
  const auto dst = Ones(Elements(shape.dst_h, shape.dst_w, shape.dst_c));
  const auto packed = Ones(static_cast<int64_t>(conv.packed_floats()));
  const auto scratch = AllocateMemory(conv.scratch_bytes());
  for (auto _ : state) {
    conv.Run({.src = src.get(),
              .weights = packed.get(),
              .dst = dst.get(),
              .scratch = scratch.get()},
             0);
    benchmark::ClobberMemory();
  }
  const auto flops =
      static_cast<double>(2 * Elements(shape.dst_h, shape.dst_w, shape.dst_c) *
                          shape.kernel_h * shape.kernel_w * channels_of_a_filter);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
  state.SetLabel(conv.name());
}

constexpr Layer kLayers[] = {
    {"stem", 299, 3, 32, 3, 3, 2},          {"3x3_147", 147, 32, 64, 3, 3, 1},
    {"3x3_71", 71, 80, 192, 3, 3, 1},       {"1x1_block35", 35, 320, 32, 1, 1, 1},
    {"3x3_block35", 35, 48, 64, 3, 3, 1},   {"1x1_block17", 17, 1088, 192, 1, 1, 1},
    {"1x7_block17", 17, 128, 160, 1, 7, 1}, {"7x1_block17", 17, 160, 192, 7, 1, 1},
    {"up_block17", 17, 384, 1088, 1, 1, 1}, {"1x3_block8", 8, 192, 224, 1, 3, 1},
    {"1x1_block8", 8, 2080, 192, 1, 1, 1},
};
constexpr Layer kDepthwiseLayers[] = {
    {"3x3_130", 130, 32, 32, 3, 3, 1}, {"3x3_65", 65, 144, 144, 3, 3, 1},
    {"5x5_33", 33, 288, 288, 5, 5, 1}, {"5x5_17", 17, 720, 720, 5, 5, 1},
    {"5x5_9", 9, 1248, 1248, 5, 5, 1},
};

void RegisterConvs(const KernelTable& table) {
  constexpr const char* kKinds[kWinogradKinds] = {"F4x4_3x3", "F6_7", "F4_7", "F4_3"};
  const auto add = [](const std::string& name, auto run) {
    benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMicrosecond);
  };
  for (const Layer& layer : kLayers) {
    const ConvShape shape = ShapeOf(layer);
    add(fmt::format("Direct/{}", layer.name), [=, &table](benchmark::State& state) {
      RunConv(state, shape, *MakeDirectConv(shape, 1, table), shape.src_c);
    });
    if (IsStem(shape)) {
      add(fmt::format("Stem/{}", layer.name), [=, &table](benchmark::State& state) {
        RunConv(state, shape, *MakeStemConv(shape, 1, table), shape.src_c);
      });
    }
    for (int i = 0; i < kWinogradKinds; ++i) {
      const auto kind = static_cast<WinogradKind>(i);
      if (!IsWinograd(shape, kind)) continue;
      add(fmt::format("Winograd/{}/{}", layer.name, kKinds[i]),
          [=, &table](benchmark::State& state) {
            const Tiling tiling = WinogradTilings(shape, kind, 1, table).front();
            RunConv(state, shape, *MakeWinogradConv(shape, kind, tiling, table),
                    shape.src_c);
          });
    }
  }
  for (const Layer& layer : kDepthwiseLayers) {
    const ConvShape shape = ShapeOf(layer);
    add(fmt::format("Depthwise/{}", layer.name), [=, &table](benchmark::State& state) {
      RunConv(state, shape, *MakeDepthwiseConv(shape, 1, table), 1);
    });
  }
  for (const bool mean : {false, true}) {
    const ConvShape shape = ShapeOf({"", 35, 192, 192, 3, 3, mean ? 1 : 2});
    add(mean ? "MeanPool/3x3_35" : "MaxPool/3x3_35",
        [=, &table](benchmark::State& state) {
          const auto pool = MakePool(shape, mean, 1, table);
          const auto src = Ones(Elements(shape.src_h, shape.src_w, shape.src_c));
          const auto dst = Ones(Elements(shape.dst_h, shape.dst_w, shape.dst_c));
          const auto scratch = AllocateMemory(pool->scratch_bytes());
          for (auto _ : state) {
            pool->Run(src.get(), dst.get(), scratch.get(), 0);
            benchmark::ClobberMemory();
          }
          state.SetLabel(pool->name());
        });
  }
}

// Where the CPU has no kernels of ours there is nothing to register.
const bool kRegistered = [] {
  const KernelTable* const table = FindKernelTable();
  if (table != nullptr) RegisterConvs(*table);
  return table != nullptr;
}();

}  // namespace
}  // namespace oriel::engine::kernels
