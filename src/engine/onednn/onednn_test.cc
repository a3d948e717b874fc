// engine/onednn, with and without our own kernels, against engine/ref: random shapes,
// strides, paddings, dilations and broadcasts, alone and fused, in both layouts.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>

#include "base/testing.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/random.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using testing::GraphBuilder;
using testing::Random;

using Inputs = std::vector<std::pair<std::string, Tensor>>;

// Our own kernels and oneDNN's in both layouts; sums differ by units of their largest
// terms.
void ExpectBackendsAgree(const tensorflow::GraphDef& graph, const Inputs& inputs,
                         std::vector<std::string> outputs, float tolerance = 4e-6f) {
  PlanOptions options;
  options.outputs = std::move(outputs);
  options.threads = 2;
  options.backend = Backend::kReference;
  const auto want = testing::RunGraph(graph, inputs, options);
  ASSERT_TRUE(want.ok()) << want.status().ToString() << graph.DebugString();
  // Direct sums: Winograd's has bounds of its own.
  options.precision = Precision::kF32Exact;
  for (const auto& [backend, layout] :
       {std::pair(Backend::kOneDnn, ActivationLayout::kBlocked),
        std::pair(Backend::kOneDnn, ActivationLayout::kChannelsLast),
        std::pair(Backend::kNative, ActivationLayout::kAuto)}) {
    options.backend = backend;
    options.layout = layout;
    const auto got = testing::RunGraph(graph, inputs, options);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    for (size_t o = 0; o < want->size(); ++o) {
      const auto w = (*want)[o].data<float>(), g = (*got)[o].data<float>();
      ASSERT_EQ(w.size(), g.size());
      float most = 0;
      for (const float v : w) most = std::max(most, std::abs(v));
      for (size_t i = 0; i < w.size(); ++i) {
        ASSERT_NEAR(g[i], w[i], tolerance * (most + std::abs(w[i])))
            << options.outputs[o] << " element " << i << " backend "
            << static_cast<int>(backend) << " layout " << static_cast<int>(layout);
      }
    }
  }
}

// A random convolution of `src`, which has `channels`.
struct ConvChoice {
  int kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  const char* padding;
};

ConvChoice ChooseConv(Random& random, int height, int width) {
  ConvChoice c{random.Int(1, 5),
               random.Int(1, 5),
               random.Int(1, 3),
               random.Int(1, 3),
               1,
               1,
               random.Pick({"SAME", "VALID"})};
  if (random.Int(0, 3) == 0) {
    c.stride_h = c.stride_w = 1;
    c.dilation_h = random.Int(1, 3);
    c.dilation_w = random.Int(1, 3);
  }
  if (c.padding == std::string_view("VALID")) {
    c.kernel_h = std::min(c.kernel_h, (height - 1) / c.dilation_h + 1);
    c.kernel_w = std::min(c.kernel_w, (width - 1) / c.dilation_w + 1);
  }
  return c;
}

TEST(OneDnn, Convolutions) {
  Random random(1);
  for (int i = 0; i < 150; ++i) {
    SCOPED_TRACE(i);
    const int height = random.Int(1, 13), width = random.Int(1, 13);
    const bool depthwise = random.Int(0, 2) == 0;
    const int groups = !depthwise && random.Int(0, 4) == 0 ? random.Int(2, 3) : 1;
    const int channels = random.Pick({1, 3, 4, 7, 8, 16, 24}) * groups;
    const int out =
        depthwise ? random.Int(1, 3) : random.Pick({1, 2, 5, 8, 16, 33}) * groups;
    const ConvChoice c = ChooseConv(random, height, width);
    GraphBuilder b;
    const Tensor x = random.Floats(Shape{random.Int(1, 3), height, width, channels});
    b.Placeholder("x", x.shape());
    b.Const("w", random.Floats(Shape{c.kernel_h, c.kernel_w, channels / groups, out}));
    b.Conv("conv", "x", "w", c.padding, c.stride_h, c.stride_w, c.dilation_h,
           c.dilation_w, depthwise ? "DepthwiseConv2dNative" : "Conv2D");
    ExpectBackendsAgree(b.graph(), {{"x", x}}, {"conv"});
    if (HasFatalFailure()) return;
  }
}

// conv, then a random chain of what fusion takes, now and then fetched midway.
TEST(OneDnn, FusedChains) {
  Random random(2);
  for (int i = 0; i < 150; ++i) {
    SCOPED_TRACE(i);
    const int size = random.Int(1, 7), channels = random.Pick({3, 8, 16, 20});
    const bool depthwise = random.Int(0, 3) == 0;
    GraphBuilder b;
    const Tensor x = random.Floats(Shape{random.Int(1, 2), size, size, channels});
    b.Placeholder("x", x.shape());
    b.Const("w", random.Floats(Shape{3, 3, channels, depthwise ? 1 : channels}));
    b.Conv("t0", "x", "w", "SAME", 1, 1, 1, 1,
           depthwise ? "DepthwiseConv2dNative" : "Conv2D");
    std::vector<std::string> outputs;
    const int length = random.Int(1, 6);
    for (int k = 1; k <= length; ++k) {
      const std::string src = fmt::format("t{}", k - 1), dst = fmt::format("t{}", k);
      const std::string c = fmt::format("c{}", k);
      switch (random.Int(0, 5)) {
        case 0:
          b.Const(c, random.Floats(Shape{channels}));
          b.Add(dst, "BiasAdd", {src, c});
          break;
        case 1: {
          b.Const(c, random.Floats(random.Bool() ? Shape{channels} : Shape{}, 0.5, 2));
          const bool left = random.Bool();
          b.Add(dst, random.Pick({"Mul", "AddV2", "Sub"}),
                {left ? src : c, left ? c : src});
          break;
        }
        case 2: {
          for (const char* part : {"s", "o", "m", "v"}) {
            b.Const(c + part, random.Floats(Shape{channels}, 0.3, 2));
          }
          tensorflow::NodeDef& bn =
              b.Add(dst, "FusedBatchNormV3", {src, c + "s", c + "o", c + "m", c + "v"});
          graph::SetFloat(bn, "epsilon", 1e-3f);
          graph::SetBool(bn, "is_training", false);
          break;
        }
        case 3:
          b.Add(dst, random.Pick({"Relu", "Relu6", "Tanh", "Sigmoid", "Elu"}), {src});
          break;
        case 4:
          b.Add(dst, "AddV2", {src, random.Bool() ? "x" : "t0"});
          break;
        case 5: {
          b.Const(c, random.Floats(Shape{1, 1, channels, channels}, -0.5, 0.5));
          b.Conv(dst, src, c, "SAME");
          break;
        }
      }
      if (random.Int(0, 4) == 0) outputs.push_back(dst);
    }
    outputs.push_back(fmt::format("t{}", length));
    // The terms that were rounded lie before a Tanh or Sigmoid and are larger than the
    // results; without FMA they show.
    ExpectBackendsAgree(b.graph(), {{"x", x}}, outputs, 1e-5f);
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, Pools) {
  Random random(3);
  for (int i = 0; i < 100; ++i) {
    SCOPED_TRACE(i);
    const int height = random.Int(1, 13), width = random.Int(1, 13);
    const char* padding = random.Pick({"SAME", "VALID"});
    const bool same = padding == std::string_view("SAME");
    GraphBuilder b;
    const Tensor x =
        random.Floats(Shape{random.Int(1, 2), height, width, random.Pick({1, 3, 8, 19})});
    b.Placeholder("x", x.shape());
    // through a convolution's layout half of the time
    const int64_t channels = x.shape().dim(3);
    b.Const("w", random.Floats(Shape{1, 1, channels, channels}));
    b.Conv("conv", "x", "w", "SAME");
    b.Pool("pool", random.Bool() ? "x" : "conv", random.Pick({"MaxPool", "AvgPool"}),
           padding, random.Int(1, same ? 5 : height), random.Int(1, same ? 5 : width),
           random.Int(1, 3), random.Int(1, 3));
    ExpectBackendsAgree(b.graph(), {{"x", x}}, {"pool"});
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, BroadcastSums) {
  Random random(4);
  for (int i = 0; i < 120; ++i) {
    SCOPED_TRACE(i);
    const int rank = random.Int(1, 5);
    std::vector<int64_t> a, c;
    for (int k = 0; k < rank; ++k) {
      const int size = random.Int(1, 6);
      a.push_back(random.Int(0, 3) == 0 ? 1 : size);
      c.push_back(random.Int(0, 3) == 0 ? 1 : size);
    }
    c.erase(c.begin(), c.begin() + random.Int(0, rank));
    if (random.Bool()) std::swap(a, c);
    GraphBuilder b;
    const Tensor x = random.Floats(Shape(a), 0.5, 2), y = random.Floats(Shape(c), 0.5, 2);
    b.Placeholder("x", x.shape());
    b.Placeholder("y", y.shape());
    b.Add("z", random.Pick({"AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"}),
          {"x", "y"});
    b.Add("relu", "Relu", {"z"});
    ExpectBackendsAgree(b.graph(), {{"x", x}, {"y", y}}, {"relu"});
    if (HasFatalFailure()) return;
  }
}

// Blocks of parallel branches: concat, residuals whose first value is read again,
// pools and reductions of what comes out, all places of memory reused.
TEST(OneDnn, Blocks) {
  Random random(5);
  for (int i = 0; i < 40; ++i) {
    SCOPED_TRACE(i);
    GraphBuilder b;
    int channels = random.Pick({3, 8, 12});
    const int size = random.Int(3, 9);
    const Tensor x = random.Floats(Shape{random.Int(1, 3), size, size, channels});
    b.Placeholder("x", x.shape());
    b.Ints("axis", {3});
    std::string net = "x";
    std::vector<std::string> outputs;
    for (int block = 0; block < 3; ++block) {
      const std::string p = fmt::format("b{}/", block);
      tensorflow::NodeDef concat;
      int total = 0;
      const int branches = random.Int(2, 4);
      for (int k = 0; k < branches; ++k) {
        const int out = random.Pick({4, 8, 16});
        const std::string n = fmt::format("{}{}", p, k);
        b.Const(n + "w", random.Floats(Shape{3, 3, channels, out}, -0.4, 0.4));
        b.Conv(n, net, n + "w", "SAME");
        b.Add(n + "relu", "Relu", {n});
        concat.add_input(n + "relu");
        total += out;
      }
      b.Pool(p + "pool", net, "MaxPool", "SAME", 3, 3, 1, 1);
      concat.add_input(p + "pool");
      concat.add_input("axis");
      concat.set_name(p + "concat");
      concat.set_op("ConcatV2");
      *b.graph().add_node() = concat;
      b.Const(p + "up",
              random.Floats(Shape{1, 1, total + channels, channels}, -0.4, 0.4));
      b.Conv(p + "upconv", p + "concat", p + "up", "SAME");
      b.Const(p + "scale", random.Floats(Shape{}, 0.1, 0.3));
      b.Add(p + "scaled", "Mul", {p + "scale", p + "upconv"});
      b.Add(p + "sum", "AddV2", {net, p + "scaled"});
      b.Add(p + "out", "Relu", {p + "sum"});
      if (random.Int(0, 2) == 0) outputs.push_back(p + "sum");
      if (random.Int(0, 2) == 0) outputs.push_back(net);
      net = p + "out";
    }
    b.Ints("hw", {1, 2});
    b.Add("mean", "Mean", {net, "hw"});
    b.Const("fc", random.Floats(Shape{channels, 5}));
    b.Add("logits", "MatMul", {"mean", "fc"});
    b.Add("softmax", "Softmax", {"logits"});
    outputs.insert(outputs.end(), {"softmax", "logits", "mean"});
    ExpectBackendsAgree(b.graph(), {{"x", x}}, outputs);
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, MatricesAndSoftmax) {
  Random random(6);
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const int m = random.Int(1, 9), n = random.Int(1, 40), k = random.Int(1, 40);
    const bool ta = random.Int(0, 3) == 0, tb = random.Bool();
    GraphBuilder b;
    const Tensor x = random.Floats(ta ? Shape{k, m} : Shape{m, k});
    b.Placeholder("x", x.shape());
    b.Const("w", random.Floats(tb ? Shape{n, k} : Shape{k, n}));
    tensorflow::NodeDef& product = b.Add("mm", "MatMul", {"x", "w"});
    graph::SetBool(product, "transpose_a", ta);
    graph::SetBool(product, "transpose_b", tb);
    b.Const("scale", random.Floats(Shape{n}, 0.5, 2));
    b.Add("scaled", "Mul", {"mm", "scale"});
    b.Const("bias", random.Floats(Shape{n}));
    b.Add("y", "BiasAdd", {"scaled", "bias"});
    b.Add("p", "Softmax", {"y"});
    ExpectBackendsAgree(b.graph(), {{"x", x}}, {"p", "y"});
    if (HasFatalFailure()) return;
  }
}

// Names of the steps that compute something.
std::vector<std::string> StepOps(const tensorflow::GraphDef& graph, std::string output,
                                 Backend backend) {
  const auto plan = Plan::Compile(
      graph, {.backend = backend, .outputs = {std::move(output)}, .threads = 1});
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  std::vector<std::string> ops;
  for (const StepInfo& step : (*plan)->steps()) {
    if (step.op != "Reorder") ops.push_back(step.op);
  }
  return ops;
}

void AddPad(GraphBuilder& b, const std::string& name, const std::string& src,
            const std::array<int, 4>& pads) {
  b.Const(name + "/pads",
          Tensor::Of<int32_t>(Shape{4, 2}, std::vector<int32_t>{0, 0, pads[0], pads[1],
                                                                pads[2], pads[3], 0, 0}));
  b.Add(name, "Pad", {src, name + "/pads"});
}

// Into the window of what reads the image, where that is the same.
TEST(OneDnn, PaddedImages) {
  Random random(21);
  for (int i = 0; i < 120; ++i) {
    SCOPED_TRACE(i);
    const int height = random.Int(1, 9), width = random.Int(1, 9);
    const int channels = random.Pick({1, 3, 8, 16});
    const Tensor x = random.Floats(Shape{random.Int(1, 2), height, width, channels});
    GraphBuilder b;
    b.Placeholder("x", x.shape());
    b.Add("relu", random.Pick({"Relu", "Relu6", "Neg", "Tanh"}), {"x"});
    const std::array<int, 4> pads = {random.Int(0, 3), random.Int(0, 3), random.Int(0, 3),
                                     random.Int(0, 3)};
    AddPad(b, "pad", "relu", pads);
    const int size_h = random.Int(1, std::min(3, height + pads[0] + pads[1]));
    const int size_w = random.Int(1, std::min(3, width + pads[2] + pads[3]));
    const char* const padding = random.Pick({"SAME", "VALID"});
    const int stride_h = random.Int(1, 2), stride_w = random.Int(1, 2);
    if (random.Int(0, 2) == 0) {
      b.Pool("y", "pad", random.Pick({"MaxPool", "AvgPool"}), padding, size_h, size_w,
             stride_h, stride_w);
    } else {
      const bool depthwise = random.Bool();
      b.Const("w", random.Floats(Shape{size_h, size_w, channels, depthwise ? 1 : 5}));
      b.Conv("y", "pad", "w", padding, stride_h, stride_w, 1, 1,
             depthwise ? "DepthwiseConv2dNative" : "Conv2D");
    }
    std::vector<std::string> outputs = {"y"};
    if (random.Int(0, 3) == 0) outputs.push_back("pad");
    ExpectBackendsAgree(b.graph(), {{"x", x}}, std::move(outputs));
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, PaddingIsPartOfTheWindow) {
  GraphBuilder b;
  Random random(22);
  b.Placeholder("x", Shape{1, 8, 8, 3});
  AddPad(b, "pad1", "x", {3, 3, 3, 3});
  b.Const("w", random.Floats(Shape{7, 7, 3, 16}));
  b.Conv("conv", "pad1", "w", "VALID", 2, 2);
  b.Add("relu", "Relu", {"conv"});
  AddPad(b, "pad2", "relu", {1, 1, 1, 1});
  b.Pool("pool", "pad2", "MaxPool", "VALID", 3, 3, 2, 2);
  EXPECT_EQ(StepOps(b.graph(), "pool", Backend::kOneDnn),
            (std::vector<std::string>{"Conv2D", "MaxPool"}));
}

// Swish and its like in the ways that frameworks spell them, alone and after a
// convolution, and what only looks like them.
TEST(OneDnn, GatedActivations) {
  Random random(23);
  for (int i = 0; i < 160; ++i) {
    SCOPED_TRACE(i);
    const int channels = random.Pick({3, 8, 16});
    const Tensor x = random.Floats(Shape{2, 3, 4, channels}, -5, 5);
    GraphBuilder b;
    b.Placeholder("x", x.shape());
    std::string src = "x";
    if (random.Bool()) {
      b.Const("w", random.Floats(Shape{1, 1, channels, channels}));
      b.Conv("conv", "x", "w", "SAME");
      src = "conv";
    }
    const auto number = [&](const char* name, float value) {
      b.Const(name, Tensor::Of<float>(Shape{}, std::vector<float>{value}));
    };
    number("three", random.Int(0, 5) == 0 ? 2.5f : 3.0f);
    number("six", 6);
    number("sixth", random.Int(0, 5) == 0 ? 0.2f : 1.0f / 6);
    b.Add("sum", "AddV2", {src, "three"});
    b.Add("relu6", "Relu6", {"sum"});
    b.Add("hard", "Mul", {"sixth", "relu6"});
    b.Add("gate", "Sigmoid", {src});
    switch (random.Int(0, 4)) {
      case 0:
        b.Add("y", "Mul", {src, "gate"});
        break;
      case 1:
        b.Add("y", "Mul", {"hard", src});
        break;
      case 2:
        b.Add("product", "Mul", {src, "relu6"});
        b.Add("y", "RealDiv", {"product", "six"});
        break;
      case 3:
        b.Add("y", "RealDiv", {"relu6", "six"});
        break;
      default:
        b.Add("y", "Mul", {"gate", "gate"});
    }
    std::vector<std::string> outputs = {"y"};
    if (random.Int(0, 3) == 0) outputs.push_back(random.Pick({"relu6", "gate"}));
    ExpectBackendsAgree(b.graph(), {{"x", x}}, std::move(outputs), 2e-5f);
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, GatedActivationsAreOneFunction) {
  GraphBuilder b;
  Random random(24);
  b.Placeholder("x", Shape{1, 4, 4, 8});
  b.Const("w", random.Floats(Shape{1, 1, 8, 8}));
  b.Conv("conv", "x", "w", "SAME");
  b.Add("gate", "Sigmoid", {"conv"});
  b.Add("swish", "Mul", {"gate", "conv"});
  EXPECT_EQ(StepOps(b.graph(), "swish", Backend::kOneDnn),
            std::vector<std::string>{"Conv2D"});
}

// What scales and shifts channels, in a row, after something that takes none of it, and
// in slices of a concatenation.
TEST(OneDnn, ScalesAndShifts) {
  Random random(25);
  for (int i = 0; i < 120; ++i) {
    SCOPED_TRACE(i);
    const int channels = random.Pick({1, 3, 8, 20});
    const bool image = random.Int(0, 3) > 0;
    const Tensor x = random.Floats(image ? Shape{2, 3, 5, channels} : Shape{4, channels});
    GraphBuilder b;
    b.Placeholder("x", x.shape());
    std::string at = "x";
    const auto vector = [&](const std::string& name, float least) {
      b.Const(name,
              random.Floats(random.Int(0, 3) == 0 ? Shape{} : Shape{channels}, least, 2));
      return name;
    };
    const int count = random.Int(1, 4);
    for (int k = 0; k < count; ++k) {
      const std::string name = "op" + std::to_string(k);
      if (image && random.Int(0, 3) == 0) {
        for (const char* p : {"/s", "/o", "/m", "/v"}) {
          b.Const(name + p, random.Floats(Shape{channels}, 0.3f, 2));
        }
        auto& bn = b.Add(name, "FusedBatchNormV3",
                         {at, name + "/s", name + "/o", name + "/m", name + "/v"});
        graph::SetBool(bn, "is_training", false);
      } else {
        const std::string other = vector(name + "/c", 0.4f);
        const char* const op = random.Pick({"Mul", "AddV2", "Sub", "RealDiv"});
        const bool left = std::string_view(op) == "RealDiv" || random.Bool();
        b.Add(name, op, {left ? at : other, left ? other : at});
      }
      at = name;
    }
    if (random.Bool()) {
      b.Add("end", random.Pick({"Relu", "Relu6", "Tanh"}), {at});
      at = "end";
    }
    if (image && random.Bool()) {
      b.Ints("axis", {3});
      b.Add("concat", "ConcatV2", {at, "x", at, "axis"});
      at = "concat";
    }
    std::vector<std::string> outputs = {at};
    if (random.Int(0, 3) == 0) outputs.push_back("op0");
    ExpectBackendsAgree(b.graph(), {{"x", x}}, std::move(outputs), 1e-5f);
    if (HasFatalFailure()) return;
  }
}

TEST(OneDnn, ScalesAndShiftsAreOneStep) {
  GraphBuilder b;
  Random random(26);
  b.Placeholder("x", Shape{1, 4, 4, 8});
  for (const char* name : {"a", "b", "c"}) b.Const(name, random.Floats(Shape{8}));
  b.Add("mul", "Mul", {"x", "a"});
  b.Add("sub", "Sub", {"mul", "b"});
  b.Add("add", "AddV2", {"c", "sub"});
  b.Add("relu", "Relu", {"add"});
  for (const Backend backend : {Backend::kOneDnn, Backend::kNative}) {
    EXPECT_EQ(StepOps(b.graph(), "relu", backend),
              std::vector<std::string>{"ScaleShift"});
  }
}

}  // namespace
}  // namespace oriel::engine
