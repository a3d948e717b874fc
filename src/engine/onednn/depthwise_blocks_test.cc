// Blocks of depthwise and pointwise convolutions, fused, against engine/ref.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/testing.h"
#include "engine/kernels/kernel_table.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/random.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using testing::GraphBuilder;
using testing::Random;

class Blocks : public Random {
 public:
  using Random::Random;

  GraphBuilder& graph() { return graph_; }

  // Adds a convolution with bias and perhaps an activation; returns its name.
  std::string Conv(const std::string& name, const std::string& src, const Shape& weights,
                   bool depthwise, int stride, int dilation, const char* activation) {
    graph_.Const(name + "/w", Floats(weights));
    graph_.Const(name + "/b", Floats(Shape{depthwise ? weights.dim(2) : weights.dim(3)}));
    graph_.Conv(name, src, name + "/w", "SAME", stride, stride, dilation, dilation,
                depthwise ? "DepthwiseConv2dNative" : "Conv2D");
    graph_.Add(name + "/biased", "BiasAdd", {name, name + "/b"});
    if (activation == nullptr) return name + "/biased";
    graph_.Add(name + "/out", activation, {name + "/biased"});
    return name + "/out";
  }

 private:
  GraphBuilder graph_;
};

void ExpectAsReference(const tensorflow::GraphDef& graph, const Tensor& x,
                       const std::vector<std::string>& outputs, int threads) {
  PlanOptions options;
  options.outputs = outputs;
  options.precision = Precision::kF32Exact;
  options.threads = threads;
  options.backend = Backend::kReference;
  const auto want = testing::RunGraph(graph, {{"x", x}}, options);
  ASSERT_TRUE(want.ok()) << want.status().ToString();
  options.backend = Backend::kNative;
  const auto got = testing::RunGraph(graph, {{"x", x}}, options);
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  for (size_t o = 0; o < want->size(); ++o) {
    const auto w = (*want)[o].data<float>(), g = (*got)[o].data<float>();
    ASSERT_EQ(w.size(), g.size());
    float most = 0;
    for (const float v : w) most = std::max(most, std::abs(v));
    for (size_t i = 0; i < w.size(); ++i) {
      ASSERT_NEAR(g[i], w[i], 1e-5f * most) << outputs[o] << " element " << i;
    }
  }
}

int CountBlocks(const tensorflow::GraphDef& graph,
                const std::vector<std::string>& outputs) {
  PlanOptions options;
  options.outputs = outputs;
  options.backend = Backend::kNative;
  options.threads = 2;
  const auto plan = Plan::Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  if (!plan.ok()) return -1;
  return static_cast<int>(std::ranges::count_if(
      (*plan)->steps(),
      [](const StepInfo& step) { return step.op == "DepthwiseBlock"; }));
}

TEST(DepthwiseBlocks, RandomBlocks) {
  constexpr const char* kActivations[] = {nullptr, "Relu", "Relu6", "Tanh"};
  for (int i = 0; i < 120; ++i) {
    SCOPED_TRACE(i);
    Blocks b(i);
    const auto activation = [&] { return kActivations[std::min(b.Int(0, 9) / 3, 3)]; };
    const int size = b.Int(1, 14), in = b.Int(1, 20), between = b.Int(1, 50);
    const int kernel = b.Int(1, 5), stride = b.Int(1, 2);
    const int dilation = stride == 1 && b.Int(0, 3) == 0 ? 2 : 1;
    const Tensor x = b.Floats(Shape{b.Int(1, 3), size, b.Int(1, 14), in});
    b.graph().Placeholder("x", x.shape());
    std::vector<std::string> outputs;
    std::string at = "x";
    int channels = in;
    if (b.Int(0, 3) > 0) {
      at = b.Conv("expand", at, Shape{1, 1, in, between}, false, 1, 1, activation());
      channels = between;
      if (b.Int(0, 7) == 0) outputs.push_back(at);
    }
    at = b.Conv("depthwise", at, Shape{kernel, kernel, channels, 1}, true, stride,
                dilation, activation());
    if (b.Int(0, 7) == 0) outputs.push_back(at);
    if (b.Int(0, 3) > 0) {
      const int out = b.Int(0, 2) == 0 ? b.Int(1, 30) : in;
      at = b.Conv("project", at, Shape{1, 1, channels, out}, false, 1, 1,
                  b.Int(0, 2) == 0 ? activation() : nullptr);
      if (out == in && stride == 1) {
        b.graph().Add("sum", "AddV2", {at, "x"});
        at = "sum";
        if (b.Int(0, 1) == 0) {  // the image is a slice of a wider one
          b.graph().Const("axis", Tensor::Of<int32_t>(Shape{}, std::vector<int32_t>{3}));
          b.graph().Add("wide", "ConcatV2", {at, "x", "axis"});
          at = "wide";
        }
      }
    }
    outputs.push_back(at);
    ExpectAsReference(b.graph().graph(), x, outputs, b.Int(1, 3));
    if (HasFatalFailure()) return;
  }
}

// Three blocks one after the other, each with its sum: images must not be written over
// while a thread still reads them.
TEST(DepthwiseBlocks, ChainOfResiduals) {
  Blocks b(1);
  const Tensor x = b.Floats(Shape{1, 40, 24, 16});
  b.graph().Placeholder("x", x.shape());
  std::string at = b.Conv("stem", "x", Shape{3, 3, 16, 16}, false, 1, 1, "Relu6");
  for (int i = 0; i < 3; ++i) {
    const std::string n = fmt::format("block{}", i);
    std::string y = b.Conv(n + "/expand", at, Shape{1, 1, 16, 48}, false, 1, 1, "Relu6");
    y = b.Conv(n + "/depthwise", y, Shape{3, 3, 48, 1}, true, 1, 1, "Relu6");
    y = b.Conv(n + "/project", y, Shape{1, 1, 48, 16}, false, 1, 1, nullptr);
    b.graph().Add(n, "AddV2", {y, at});
    at = n;
  }
  if (kernels::FindKernelTable() != nullptr) {
    EXPECT_EQ(CountBlocks(b.graph().graph(), {at}), 3);
  }
  for (const int threads : {1, 2, 4}) {
    for (int run = 0; run < 5; ++run) {
      ExpectAsReference(b.graph().graph(), x, {at}, threads);
    }
  }
}

TEST(DepthwiseBlocks, WhatOthersReadStaysAlone) {
  if (kernels::FindKernelTable() == nullptr) GTEST_SKIP() << "no kernels of ours";
  constexpr int64_t kBetween = 96;  // a panel of AVX-512 for each thread, too
  Blocks b(2);
  const Shape x{1, 32, 32, 16};
  b.graph().Placeholder("x", x);
  const std::string expand =
      b.Conv("expand", "x", Shape{1, 1, 16, kBetween}, false, 1, 1, "Relu6");
  const std::string depthwise =
      b.Conv("depthwise", expand, Shape{3, 3, kBetween, 1}, true, 1, 1, "Relu6");
  const std::string project =
      b.Conv("project", depthwise, Shape{1, 1, kBetween, 16}, false, 1, 1, nullptr);
  const auto count = [&](const std::vector<std::string>& outputs) {
    return CountBlocks(b.graph().graph(), outputs);
  };
  EXPECT_EQ(count({project}), 1);
  EXPECT_EQ(count({project, expand}), 1);     // depthwise and project
  EXPECT_EQ(count({project, depthwise}), 1);  // expand and depthwise
  EXPECT_EQ(count({project, expand, depthwise}), 0);
}

}  // namespace
}  // namespace oriel::engine
