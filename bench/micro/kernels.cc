// Our own kernels, one thread, on layers of Inception-ResNet-v2 and EfficientNet-Lite2.
// Weights and images lie in the cache as far as they fit: a layer of a whole plan finds
// them farther away (oriel bench --profile).

#include <fmt/format.h>

#include "engine/kernels/pool.h"
#include "engine/kernels/stem_conv.h"
#include "layers.h"

namespace oriel::engine::kernels {
namespace {

void RunConv(benchmark::State& state, const ConvShape& shape, const Conv& conv,
             bool depthwise) {
  const auto src = Floats(SrcElements(shape), 1);
  const auto dst = Floats(DstElements(shape), 1);
  const auto packed = Floats(static_cast<int64_t>(conv.packed_floats()), 1);
  const auto scratch = AllocateMemory(conv.scratch_bytes());
  for (auto _ : state) {
    conv.Run({.src = src.get(),
              .weights = packed.get(),
              .dst = dst.get(),
              .scratch = scratch.get()},
             0);
    benchmark::ClobberMemory();
  }
  SetRate(state, "FLOP/s", Products(shape, depthwise));
  state.SetLabel(conv.name());
}

void RegisterDirect(const Layer& layer, const KernelTable& table) {
  const ConvShape shape = ShapeOf(layer);
  Register(fmt::format("Direct/{}", layer.name), [=, &table](benchmark::State& state) {
    RunConv(state, shape, *MakeDirectConv(shape, 1, table), /*depthwise=*/false);
  });
}

void RegisterConvs(const KernelTable& table) {
  constexpr const char* kKinds[kWinogradKinds] = {"F4x4_3x3", "F6_7", "F4_7", "F4_3"};
  RegisterDirect(kStemLayer, table);
  Register("Stem/stem", [&table](benchmark::State& state) {
    const ConvShape shape = ShapeOf(kStemLayer);
    RunConv(state, shape, *MakeStemConv(shape, 1, table), /*depthwise=*/false);
  });
  for (const Layer& layer : kLayers) {
    RegisterDirect(layer, table);
    const ConvShape shape = ShapeOf(layer);
    for (int i = 0; i < kWinogradKinds; ++i) {
      const auto kind = static_cast<WinogradKind>(i);
      if (!IsWinograd(shape, kind)) continue;
      Register(fmt::format("Winograd/{}/{}", layer.name, kKinds[i]),
               [=, &table](benchmark::State& state) {
                 const Tiling tiling = WinogradTilings(shape, kind, 1, table).front();
                 RunConv(state, shape, *MakeWinogradConv(shape, kind, tiling, table),
                         /*depthwise=*/false);
               });
    }
  }
  for (const Layer& layer : kDepthwiseLayers) {
    const ConvShape shape = ShapeOf(layer);
    Register(fmt::format("Depthwise/{}", layer.name),
             [=, &table](benchmark::State& state) {
               RunConv(state, shape, *MakeDepthwiseConv(shape, 1, table),
                       /*depthwise=*/true);
             });
  }
  for (const bool mean : {false, true}) {
    const ConvShape shape = ShapeOf({"", 35, 192, 192, 3, 3, mean ? 1 : 2});
    Register(mean ? "MeanPool/3x3_35" : "MaxPool/3x3_35",
             [=, &table](benchmark::State& state) {
               const auto pool = MakePool(shape, mean, 1, table);
               const auto src = Floats(SrcElements(shape), 1);
               const auto dst = Floats(DstElements(shape), 1);
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
