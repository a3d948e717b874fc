// The blocks of EfficientNet-Lite2 and of MobileNetV1 on one thread: one kernel after the
// other, and as one. Weights and images lie in the cache as far as they fit.

#include <fmt/format.h>

#include <vector>

#include "engine/kernels/depthwise_block.h"
#include "layers.h"

namespace oriel::engine::kernels {
namespace {

struct BlockLayers {
  int64_t size, in, between, out;  // in 0: no layer before
  int64_t kernel, stride;
};

constexpr BlockLayers kBlocks[] = {
    {130, 0, 32, 16, 3, 1},    {130, 16, 96, 24, 3, 2},   {65, 24, 144, 24, 3, 1},
    {65, 24, 144, 48, 5, 2},   {33, 48, 288, 48, 5, 1},   {33, 48, 288, 88, 3, 2},
    {17, 88, 528, 88, 3, 1},   {17, 88, 528, 120, 5, 1},  {17, 120, 720, 120, 5, 1},
    {17, 120, 720, 208, 5, 2}, {9, 208, 1248, 208, 5, 1}, {9, 208, 1248, 352, 3, 1},
    {112, 0, 32, 64, 3, 1},    {112, 0, 64, 128, 3, 2},   {56, 0, 128, 128, 3, 1},
    {28, 0, 256, 256, 3, 1},   {14, 0, 512, 512, 3, 1}};

DepthwiseBlockShape ShapeOf(const BlockLayers& block) {
  const auto& [size, in, between, out, kernel, stride] = block;
  DepthwiseBlockShape shape;
  if (in > 0) shape.expand = ShapeOf(Layer{"", size, in, between, 1, 1, 1});
  shape.depthwise = ShapeOf(Layer{"", size, between, between, kernel, kernel, stride});
  shape.project = ShapeOf(Layer{"", shape.depthwise.dst_h, between, out, 1, 1, 1});
  return shape;
}

int64_t Products(const DepthwiseBlockShape& shape) {
  int64_t products = Products(shape.depthwise, /*depthwise=*/true);
  for (const auto& layer : {shape.expand, shape.project}) {
    if (layer) products += Products(*layer, /*depthwise=*/false);
  }
  return products;
}

void RunApart(benchmark::State& state, const DepthwiseBlockShape& shape,
              const KernelTable& table) {
  struct Step {
    std::unique_ptr<Conv> conv;
    std::shared_ptr<float> weights, dst;
    std::shared_ptr<std::byte> scratch;
  };
  std::vector<Step> steps;
  const auto add = [&](std::unique_ptr<Conv> conv, const ConvShape& s) {
    Step step{.conv = std::move(conv)};
    step.weights = Floats(static_cast<int64_t>(step.conv->packed_floats()), 0);
    step.scratch = AllocateMemory(step.conv->scratch_bytes());
    step.dst = Floats(DstElements(s), 0);
    steps.push_back(std::move(step));
  };
  const auto direct = [&](const ConvShape& s) {
    return MakeDirectConv(s, DirectTilings(s, 1, table).front(), table);
  };
  if (shape.expand) add(direct(*shape.expand), *shape.expand);
  add(MakeDepthwiseConv(shape.depthwise, 1, table), shape.depthwise);
  if (shape.project) add(direct(*shape.project), *shape.project);
  const auto src = Floats(SrcElements(shape.expand ? *shape.expand : shape.depthwise), 0);
  for (auto _ : state) {
    const float* at = src.get();
    for (const Step& step : steps) {
      step.conv->Run({.src = at,
                      .weights = step.weights.get(),
                      .dst = step.dst.get(),
                      .scratch = step.scratch.get(),
                      .low = 0,
                      .high = 6},
                     0);
      at = step.dst.get();
    }
    benchmark::ClobberMemory();
  }
  SetRate(state, "FLOP/s", Products(shape));
}

void RunAsOne(benchmark::State& state, const DepthwiseBlockShape& shape,
              const DepthwiseBlockWay& way, const KernelTable& table) {
  const auto block = MakeDepthwiseBlock(shape, way, 1, table);
  const auto src = Floats(SrcElements(shape.expand ? *shape.expand : shape.depthwise), 0);
  const auto dst =
      Floats(DstElements(shape.project ? *shape.project : shape.depthwise), 0);
  const auto weights = Floats(static_cast<int64_t>(block->packed_floats()), 0);
  const auto scratch = AllocateMemory(block->scratch_bytes());
  for (auto _ : state) {
    block->Run({.src = src.get(),
                .weights = weights.get(),
                .dst = dst.get(),
                .scratch = scratch.get(),
                .expand = {0, 6},
                .depthwise = {0, 6},
                .project = {}},
               0);
    benchmark::ClobberMemory();
  }
  SetRate(state, "FLOP/s", Products(shape));
  state.SetLabel(block->name());
}

void RegisterBlocks(const KernelTable& table) {
  for (const BlockLayers& block : kBlocks) {
    const std::string name =
        fmt::format("{}/{}_{}_{}/{}x{}s{}", block.size, block.in, block.between,
                    block.out, block.kernel, block.kernel, block.stride);
    const DepthwiseBlockShape whole = ShapeOf(block);
    DepthwiseBlockShape first = whole, middle = whole;
    first.project.reset();
    middle.expand.reset();
    middle.project.reset();
    const int64_t fit =
        ChooseDepthwiseBlock(first, 1, table).value_or(DepthwiseBlockWay{}).lines;
    Register("Depthwise/" + name,
             [=, &table](benchmark::State& state) { RunApart(state, middle, table); });
    if (whole.expand) {
      Register("Apart2/" + name,
               [=, &table](benchmark::State& state) { RunApart(state, first, table); });
      Register("AsOne2/" + name, [=, &table](benchmark::State& state) {
        RunAsOne(state, first, {.by_channels = true, .lines = fit}, table);
      });
    }
    Register("Apart/" + name,
             [=, &table](benchmark::State& state) { RunApart(state, whole, table); });
    for (const int64_t lines : {1, 2, 4}) {
      Register(fmt::format("AsOne/{}/{}", name, lines),
               [=, &table](benchmark::State& state) {
                 RunAsOne(state, whole, {.lines = lines}, table);
               });
    }
  }
}

// Where the CPU has no kernels of ours there is nothing to register.
const bool kRegistered = [] {
  const KernelTable* const table = FindKernelTable();
  if (table != nullptr) RegisterBlocks(*table);
  return table != nullptr;
}();

}  // namespace
}  // namespace oriel::engine::kernels
