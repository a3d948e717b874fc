#include "engine/benchmark/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/testing.h"
#include "engine/benchmark/measure.h"
#include "engine/kernels/kernel_table.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using ::testing::Contains;
using testing::GraphBuilder;
using testing::RunPlan;

Tensor Random(const Shape& shape, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  Tensor tensor(DType::kFloat32, shape);
  for (float& value : tensor.mutable_data<float>()) value = normal(random);
  return tensor;
}

// 1x1, 3x3 and 1x7, the last one twice.
tensorflow::GraphDef SmallGraph() {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 17, 17, 24});
  b.Const("w1", Random(Shape{1, 1, 24, 40}, 1));
  b.Conv("c1", "x", "w1", "SAME");
  b.Const("w2", Random(Shape{3, 3, 40, 48}, 2));
  b.Conv("c2", "c1", "w2", "SAME");
  b.Const("w3", Random(Shape{1, 7, 48, 48}, 3));
  b.Conv("c3", "c2", "w3", "SAME");
  b.Const("w4", Random(Shape{1, 7, 48, 48}, 4));
  b.Conv("y", "c3", "w4", "SAME");
  return b.graph();
}

PlanOptions Options(std::shared_ptr<Choices> choices) {
  PlanOptions options;
  options.backend = Backend::kNative;
  options.threads = 2;
  options.outputs = {"y"};
  options.choices = std::move(choices);
  return options;
}

std::shared_ptr<const Plan> Compile(const PlanOptions& options) {
  auto plan = Plan::Compile(SmallGraph(), options);
  EXPECT_OK(plan.status());
  return *std::move(plan);
}

std::map<std::string, Choice> ChoicesOf(const Plan& plan) {
  std::map<std::string, Choice> choices;
  for (const StepInfo& step : plan.steps()) {
    if (!step.choice.key.empty()) choices.emplace(step.choice.key, step.choice);
  }
  return choices;
}

class Tuning : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kernels::FindKernelTable() == nullptr) GTEST_SKIP() << "no kernels of our own";
  }
};

TEST_F(Tuning, EveryCandidateGivesTheSameResult) {
  PlanOptions reference = Options(nullptr);
  reference.backend = Backend::kReference;
  const auto arbiter = Compile(reference);
  const std::vector<Tensor> inputs = RandomInputs(*arbiter);
  ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> want, RunPlan(*arbiter, inputs));
  const auto by_default = ChoicesOf(*Compile(Options(nullptr)));
  ASSERT_EQ(by_default.size(), 3);
  size_t most = 0;
  for (const auto& [key, choice] : by_default) {
    EXPECT_EQ(choice.chosen, 0) << key;
    EXPECT_GT(choice.candidates.size(), 1) << key;
    most = std::max(most, choice.candidates.size());
  }
  for (size_t i = 0; i < most; ++i) {
    const auto choices = std::make_shared<Choices>();
    for (const auto& [key, choice] : by_default) {
      choices->Insert(key, choice.candidates[i % choice.candidates.size()]);
    }
    const auto plan = Compile(Options(choices));
    for (const auto& [key, choice] : ChoicesOf(*plan)) {
      EXPECT_EQ(choice.chosen, i % choice.candidates.size()) << key;
    }
    ASSERT_OK_AND_ASSIGN(const std::vector<Tensor> got, RunPlan(*plan, inputs));
    for (int64_t j = 0; j < want[0].shape().elements(); ++j) {
      ASSERT_NEAR(got[0].data<float>()[j], want[0].data<float>()[j], 2e-3) << i;
    }
  }
}

TEST_F(Tuning, AChoiceThatIsNoCandidateIsPassedOver) {
  const auto choices = std::make_shared<Choices>();
  for (const auto& [key, choice] : ChoicesOf(*Compile(Options(nullptr)))) {
    choices->Insert(key, "direct 99x99 1x1 block 1");
  }
  for (const auto& [key, choice] : ChoicesOf(*Compile(Options(choices)))) {
    EXPECT_EQ(choice.chosen, 0) << key;
  }
}

TEST_F(Tuning, FindsCandidatesThatPlansThenUse) {
  const auto choices = std::make_shared<Choices>();
  std::vector<int> rounds;
  ASSERT_OK_AND_ASSIGN(
      const TuneResult result,
      Tune(SmallGraph(), {.plan = Options(choices),
                          .runs = 3,
                          .gain = 0.01,
                          .progress = [&](int round, int) { rounds.push_back(round); }}));
  EXPECT_EQ(result.choices, 3);
  EXPECT_LE(result.seconds_after, result.seconds_before);
  EXPECT_GT(result.seconds_after, 0);
  ASSERT_FALSE(rounds.empty());
  for (size_t i = 0; i < rounds.size(); ++i) EXPECT_EQ(rounds[i], i + 1);
  const auto tuned = ChoicesOf(*Compile(Options(choices)));
  for (const auto& [key, value] : choices->entries()) {
    ASSERT_TRUE(tuned.contains(key)) << key;
    const Choice& choice = tuned.at(key);
    EXPECT_THAT(choice.candidates, Contains(value)) << key;
    EXPECT_EQ(choice.candidates[choice.chosen], value) << key;
  }
}

TEST_F(Tuning, WinogradIsNoCandidateWhereSumsAreToBeExact) {
  PlanOptions exact = Options(nullptr);
  exact.precision = Precision::kF32Exact;
  for (const auto& [key, choice] : ChoicesOf(*Compile(exact))) {
    for (const std::string& candidate : choice.candidates) {
      EXPECT_EQ(candidate.find("winograd"), std::string::npos) << candidate;
    }
  }
}

}  // namespace
}  // namespace oriel::engine
