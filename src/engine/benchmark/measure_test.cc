#include "engine/benchmark/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/testing.h"
#include "engine/benchmark/peak.h"
#include "engine/testing/graph_builder.h"

namespace oriel::engine {
namespace {

using ::testing::Each;
using ::testing::Ge;
using testing::GraphBuilder;
using ::testing::Gt;

// conv (2x2 of 3 channels to 4, at 4x5 places) -> relu -> matmul (80 x 6).
std::shared_ptr<const Plan> SmallPlan(Backend backend, int batch) {
  GraphBuilder b;
  b.Placeholder("x", Shape{-1, 4, 5, 3});
  b.Const("w", Tensor(DType::kFloat32, Shape{2, 2, 3, 4}));
  b.Conv("conv", "x", "w", "SAME");
  b.Add("relu", "Relu", {"conv"});
  b.Ints("flat", {-1, 80});
  b.Add("features", "Reshape", {"relu", "flat"});
  b.Const("fc", Tensor(DType::kFloat32, Shape{80, 6}));
  b.Add("logits", "MatMul", {"features", "fc"});
  PlanOptions options;
  options.backend = backend;
  options.threads = 1;
  options.inputs = {{"x", Shape{batch, 4, 5, 3}}};
  options.outputs = {"logits"};
  auto plan = Plan::Compile(b.graph(), options);
  EXPECT_OK(plan.status());
  return *std::move(plan);
}

class Steps : public ::testing::TestWithParam<Backend> {};
INSTANTIATE_TEST_SUITE_P(All, Steps,
                         ::testing::Values(Backend::kReference, Backend::kOneDnn));

TEST_P(Steps, SayWhatIsComputedAndWhatItCosts) {
  const auto plan = SmallPlan(GetParam(), 2);
  int64_t conv = 0, matmul = 0, others = 0;
  for (const StepInfo& step : plan->steps()) {
    EXPECT_NE(step.implementation, "") << step.name;
    int64_t& sum = step.op == "Conv2D" ? conv : step.op == "MatMul" ? matmul : others;
    sum += step.multiply_adds;
  }
  EXPECT_EQ(conv, 2 * 4 * 5 * 4 * 2 * 2 * 3);
  EXPECT_EQ(matmul, 2 * 80 * 6);
  EXPECT_EQ(others, 0);
  EXPECT_EQ(static_cast<int>(plan->steps().size()), plan->stats().steps);
}

TEST_P(Steps, TimesAreThoseOfTheRun) {
  const auto plan = SmallPlan(GetParam(), 8);
  const auto context = plan->NewContext();
  const std::vector<Tensor> inputs = RandomInputs(*plan);
  std::vector<Tensor> outputs = {Tensor(DType::kFloat32, Shape{8, 6})};
  std::vector<std::chrono::nanoseconds> times(plan->steps().size(),
                                              std::chrono::nanoseconds(-1));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_OK(plan->RunTimed(*context, inputs, outputs, times));
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  EXPECT_THAT(times, Each(Ge(std::chrono::nanoseconds(0))));
  EXPECT_LE(std::accumulate(times.begin(), times.end(), std::chrono::nanoseconds(0)),
            elapsed);
  times.pop_back();
  EXPECT_EQ(plan->RunTimed(*context, inputs, outputs, times).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MeasureLoad, CountsTheRunsOfAllStreams) {
  const auto plan = SmallPlan(Backend::kOneDnn, 1);
  const std::vector<Tensor> inputs = RandomInputs(*plan);
  ASSERT_OK_AND_ASSIGN(const LoadResult result,
                       MeasureLoad(*plan, inputs,
                                   {.streams = 3,
                                    .warmup = std::chrono::milliseconds(1),
                                    .duration = std::chrono::milliseconds(20)}));
  EXPECT_GE(result.latencies.size(), 3u);
  EXPECT_TRUE(std::is_sorted(result.latencies.begin(), result.latencies.end()));
  EXPECT_THAT(result.latencies, Each(Gt(0)));
  EXPECT_GE(result.seconds, 0.02);
  // Three streams, one after the other in each, all within the time.
  const double sum =
      std::accumulate(result.latencies.begin(), result.latencies.end(), 0.0);
  EXPECT_LE(sum, 3 * result.seconds * 1.001);
}

TEST(MeasureLoad, PassesErrorsOn) {
  const auto plan = SmallPlan(Backend::kOneDnn, 1);
  const std::vector<Tensor> wrong = {Tensor(DType::kFloat32, Shape{1, 4, 5, 2})};
  EXPECT_EQ(MeasureLoad(*plan, wrong, {.streams = 2}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MeasureSteps(*plan, wrong, std::chrono::milliseconds(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MeasureSteps, GivesAMedianForEachStep) {
  const auto plan = SmallPlan(Backend::kReference, 4);
  ASSERT_OK_AND_ASSIGN(const auto seconds, MeasureSteps(*plan, RandomInputs(*plan),
                                                        std::chrono::milliseconds(5)));
  ASSERT_EQ(seconds.size(), plan->steps().size());
  EXPECT_THAT(seconds, Each(Gt(0)));
}

TEST(Quantile, IsTheNearestRank) {
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(Quantile(ten, 0.5), 5);
  EXPECT_EQ(Quantile(ten, 0.9), 9);
  EXPECT_EQ(Quantile(ten, 0.91), 10);
  EXPECT_EQ(Quantile(ten, 0.99), 10);
  EXPECT_EQ(Quantile(std::vector<double>{7.0}, 0.01), 7);
}

TEST(MeasurePeakF32, IsWhatACpuCanDo) {
  const double peak = MeasurePeakF32(1, std::chrono::milliseconds(20));
  EXPECT_GT(peak, 1e8);   // any CPU of this century
  EXPECT_LT(peak, 1e12);  // two 512-bit units at 8 GHz do half of it
}

}  // namespace
}  // namespace oriel::engine
