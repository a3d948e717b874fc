// A plan of one convolution, in one thread: the engine around a kernel.

#include "engine/plan.h"

#include <benchmark/benchmark.h>

#include <string>

#include "engine/benchmark/measure.h"
#include "engine/testing/graph_builder.h"

namespace oriel {
namespace {

struct Layer {
  int size;  // of the square image
  int channels_in;
  int channels_out;
  int kernel_h;
  int kernel_w;
};

// Of Inception-ResNet-v2, where it spends its time.
constexpr Layer kBlock17Row = {17, 128, 160, 1, 7};
constexpr Layer kBlock17Up = {17, 384, 1088, 1, 1};
constexpr Layer kBlock35 = {35, 32, 32, 3, 3};

// x -> convolution -> ReLU. Any numbers will do: time does not depend on them.
absl::StatusOr<std::shared_ptr<const engine::Plan>> CompileLayer(
    const Layer& layer, engine::Precision precision) {
  engine::testing::GraphBuilder b;
  const Shape src = {1, layer.size, layer.size, layer.channels_in};
  b.Placeholder("x", src);
  Tensor filter(DType::kFloat32,
                {layer.kernel_h, layer.kernel_w, layer.channels_in, layer.channels_out});
  for (float& v : filter.mutable_data<float>()) v = 0.01f;
  b.Const("w", filter);
  b.Conv("conv", "x", "w", "SAME");
  b.Add("relu", "Relu", {"conv"});
  engine::PlanOptions options;
  options.precision = precision;
  options.threads = 1;
  options.outputs = {"relu"};
  return engine::Plan::Compile(b.graph(), options);
}

void RunPlan(benchmark::State& state, const Layer& layer, engine::Precision precision) {
  const auto plan = CompileLayer(layer, precision);
  if (!plan.ok()) {
    state.SkipWithError(std::string(Message(plan.status())).c_str());
    return;
  }
  const std::vector<Tensor> inputs = engine::RandomInputs(**plan);
  std::vector<Tensor> outputs = engine::MakeTensors((*plan)->outputs());
  const auto context = (*plan)->NewContext();
  for (auto _ : state) {
    if (!(*plan)->Run(*context, inputs, outputs).ok()) state.SkipWithError("Run");
    benchmark::ClobberMemory();
  }
  int64_t multiply_adds = 0;
  for (const engine::StepInfo& step : (*plan)->steps())
    multiply_adds += step.multiply_adds;
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(multiply_adds * state.iterations()),
                         benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(RunPlan, block17_1x7, kBlock17Row, engine::Precision::kF32)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunPlan, block17_1x7_exact, kBlock17Row, engine::Precision::kF32Exact)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunPlan, block17_1x1, kBlock17Up, engine::Precision::kF32)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunPlan, block35_3x3, kBlock35, engine::Precision::kF32)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(RunPlan, block35_3x3_exact, kBlock35, engine::Precision::kF32Exact)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace oriel
