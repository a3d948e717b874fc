// The blocks of EfficientNet-Lite2 and of MobileNetV1 on one thread: one kernel after the
// other, and as one. Weights and images lie in the cache as far as they fit.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/kernels/depthwise_block.h"
#include "engine/memory.h"

namespace oriel::engine::kernels {
namespace {

struct Layer {
  int64_t size, in, between, out;  // in 0: no layer before
  int64_t kernel, stride;
};

constexpr Layer kBlocks[] = {
    {130, 0, 32, 16, 3, 1},    {130, 16, 96, 24, 3, 2},   {65, 24, 144, 24, 3, 1},
    {65, 24, 144, 48, 5, 2},   {33, 48, 288, 48, 5, 1},   {33, 48, 288, 88, 3, 2},
    {17, 88, 528, 88, 3, 1},   {17, 88, 528, 120, 5, 1},  {17, 120, 720, 120, 5, 1},
    {17, 120, 720, 208, 5, 2}, {9, 208, 1248, 208, 5, 1}, {9, 208, 1248, 352, 3, 1},
    {112, 0, 32, 64, 3, 1},    {112, 0, 64, 128, 3, 2},   {56, 0, 128, 128, 3, 1},
    {28, 0, 256, 256, 3, 1},   {14, 0, 512, 512, 3, 1}};

ConvShape Pointwise(int64_t size, int64_t in, int64_t out) {
  return {.src_h = size,
          .src_w = size,
          .src_c = in,
          .dst_h = size,
          .dst_w = size,
          .dst_c = out,
          .src_pitch = in,
          .dst_pitch = out,
          .residual_pitch = out};
}

DepthwiseBlockShape ShapeOf(const Layer& layer) {
  const int64_t dst = (layer.size + layer.stride - 1) / layer.stride;  // SAME
  const int64_t pad =
      std::max<int64_t>((dst - 1) * layer.stride + layer.kernel - layer.size, 0) / 2;
  DepthwiseBlockShape shape;
  if (layer.in > 0) shape.expand = Pointwise(layer.size, layer.in, layer.between);
  shape.depthwise = Pointwise(layer.size, layer.between, layer.between);
  shape.depthwise.dst_h = shape.depthwise.dst_w = dst;
  shape.depthwise.kernel_h = shape.depthwise.kernel_w = layer.kernel;
  shape.depthwise.stride_h = shape.depthwise.stride_w = layer.stride;
  shape.depthwise.pad_top = shape.depthwise.pad_left = pad;
  shape.project = Pointwise(dst, layer.between, layer.out);
  return shape;
}

std::shared_ptr<float> Zeros(int64_t count) {
  const auto memory = AllocateMemory(static_cast<size_t>(count) * sizeof(float));
  auto* const floats = reinterpret_cast<float*>(memory.get());
  std::fill_n(floats, count, 0.0f);
  return {memory, floats};
}

int64_t DstFloats(const ConvShape& s) { return s.dst_h * s.dst_w * s.dst_c; }
int64_t SrcFloats(const ConvShape& s) { return s.src_h * s.src_w * s.src_c; }

void SetRate(benchmark::State& state, const DepthwiseBlockShape& shape) {
  const ConvShape& dw = shape.depthwise;
  int64_t sums = DstFloats(dw) * dw.kernel_h * dw.kernel_w;
  for (const auto& layer : {shape.expand, shape.project}) {
    if (layer) sums += DstFloats(*layer) * layer->src_c;
  }
  state.counters["FLOP/s"] = benchmark::Counter(
      static_cast<double>(2 * sums), benchmark::Counter::kIsIterationInvariantRate);
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
    step.weights = Zeros(static_cast<int64_t>(step.conv->packed_floats()));
    step.scratch = AllocateMemory(step.conv->scratch_bytes());
    step.dst = Zeros(DstFloats(s));
    steps.push_back(std::move(step));
  };
  const auto direct = [&](const ConvShape& s) {
    return MakeDirectConv(s, DirectTilings(s, 1, table).front(), table);
  };
  if (shape.expand) add(direct(*shape.expand), *shape.expand);
  add(MakeDepthwiseConv(shape.depthwise, 1, table), shape.depthwise);
  if (shape.project) add(direct(*shape.project), *shape.project);
  const auto src = Zeros(SrcFloats(shape.expand ? *shape.expand : shape.depthwise));
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
  SetRate(state, shape);
}

void RunAsOne(benchmark::State& state, const DepthwiseBlockShape& shape,
              const DepthwiseBlockWay& way, const KernelTable& table) {
  const auto block = MakeDepthwiseBlock(shape, way, 1, table);
  const auto src = Zeros(SrcFloats(shape.expand ? *shape.expand : shape.depthwise));
  const auto dst = Zeros(DstFloats(shape.project ? *shape.project : shape.depthwise));
  const auto weights = Zeros(static_cast<int64_t>(block->packed_floats()));
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
  SetRate(state, shape);
  state.SetLabel(block->name());
}

void Register(const KernelTable& table) {
  const auto add = [](const std::string& name, auto run) {
    benchmark::RegisterBenchmark(name.c_str(), run)->Unit(benchmark::kMicrosecond);
  };
  for (const Layer& layer : kBlocks) {
    const std::string name =
        fmt::format("{}/{}_{}_{}/{}x{}s{}", layer.size, layer.in, layer.between,
                    layer.out, layer.kernel, layer.kernel, layer.stride);
    const DepthwiseBlockShape whole = ShapeOf(layer);
    DepthwiseBlockShape first = whole, middle = whole;
    first.project.reset();
    middle.expand.reset();
    middle.project.reset();
    const int64_t fit =
        ChooseDepthwiseBlock(first, 1, table).value_or(DepthwiseBlockWay{}).lines;
    add("Depthwise/" + name,
        [=, &table](benchmark::State& state) { RunApart(state, middle, table); });
    if (whole.expand) {
      add("Apart2/" + name,
          [=, &table](benchmark::State& state) { RunApart(state, first, table); });
      add("AsOne2/" + name, [=, &table](benchmark::State& state) {
        RunAsOne(state, first, {.by_channels = true, .lines = fit}, table);
      });
    }
    add("Apart/" + name,
        [=, &table](benchmark::State& state) { RunApart(state, whole, table); });
    for (const int64_t lines : {1, 2, 4}) {
      add(fmt::format("AsOne/{}/{}", name, lines), [=, &table](benchmark::State& state) {
        RunAsOne(state, whole, {.lines = lines}, table);
      });
    }
  }
}

// Where the CPU has no kernels of ours there is nothing to register.
const bool kRegistered = [] {
  const KernelTable* const table = FindKernelTable();
  if (table != nullptr) Register(*table);
  return table != nullptr;
}();

}  // namespace
}  // namespace oriel::engine::kernels
