// bf16 against formulas in double; every backend against the reference, operation by
// operation.

#include "engine/bf16/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "base/testing.h"
#include "engine/bf16/rounding.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/random.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using testing::GraphBuilder;

bool IsBf16(float x) { return RoundToBf16(x) == x; }

// --- Rounding

// By arithmetic: a multiple of the last place's value, halves to even.
double NearestBf16(double x) {
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| < 2^exponent
  const double place = std::ldexp(1.0, std::max(exponent, -125) - 8);
  const double nearest = std::nearbyint(x / place) * place;
  constexpr double kLimit = 0x1p128;
  return std::abs(nearest) >= kLimit
             ? std::copysign(std::numeric_limits<double>::infinity(), x)
             : nearest;
}

TEST(RoundToBf16, EveryPatternOfTheUpperHalf) {
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const auto x = std::bit_cast<float>(upper << 16 | lower);
      const float rounded = RoundToBf16(x);
      ASSERT_EQ(std::bit_cast<uint32_t>(rounded) & 0xffff, 0u);
      if (std::isnan(x)) {
        ASSERT_TRUE(std::isnan(rounded)) << upper << " " << lower;
        continue;
      }
      const double want = std::isinf(x) ? x : NearestBf16(x);
      ASSERT_EQ(rounded, want) << x;
      ASSERT_EQ(std::signbit(rounded), std::signbit(x)) << x;
    }
  }
}

TEST(RoundToBf16, KnownValues) {
  // 1 has neighbours 2^-7 above and 2^-8 below.
  EXPECT_EQ(RoundToBf16(1.00390625f), 1.0f);       // halfway: to the even one
  EXPECT_EQ(RoundToBf16(1.01171875f), 1.015625f);  // halfway: to the even one
  EXPECT_EQ(RoundToBf16(1.00390637f), 1.0078125f);
  EXPECT_EQ(RoundToBf16(3.14159274f), 3.140625f);
  EXPECT_EQ(RoundToBf16(-0.333333343f), -0.333984375f);
  constexpr float kLargest = 0x1.fep127f;
  EXPECT_EQ(RoundToBf16(0x1.fefffep127f), kLargest);
  EXPECT_EQ(RoundToBf16(0x1.ffp127f), std::numeric_limits<float>::infinity());
  EXPECT_EQ(RoundToBf16(0x1p-149f), 0.0f);
  EXPECT_EQ(RoundToBf16(0x1p-133f), 0x1p-133f);
}

// --- The definition, on a graph small enough to be summed up here

Tensor Random(const Shape& shape, uint32_t seed, float least = -1, float most = 1) {
  return testing::Random(seed).Floats(shape, least, most);
}

std::vector<double> Rounded(const Tensor& tensor) {
  std::vector<double> result;
  for (const float v : tensor.data<float>()) result.push_back(NearestBf16(v));
  return result;
}

struct Engine {
  Backend backend;
  ActivationLayout layout = ActivationLayout::kAuto;
  int threads = 2;
};

constexpr Engine kEngines[] = {{Backend::kReference},
                               {Backend::kOneDnn, ActivationLayout::kBlocked},
                               {Backend::kOneDnn, ActivationLayout::kChannelsLast, 1},
                               {Backend::kNative},
                               {Backend::kNative, ActivationLayout::kAuto, 1},
                               {Backend::kAuto}};

PlanOptions OptionsFor(const Engine& engine, std::vector<std::string> outputs) {
  PlanOptions options;
  options.precision = Precision::kBf16;
  options.backend = engine.backend;
  options.layout = engine.layout;
  options.threads = engine.threads;
  options.outputs = std::move(outputs);
  return options;
}

// x -> 1x1 convolution, bias, ReLU -> mean over the image -> matrix product, bias.
TEST(Bf16, ComputesWhatItSays) {
  constexpr int kPixels = 6 * 5, kIn = 7, kOut = 12, kClasses = 9;
  const Tensor x = Random({1, 6, 5, kIn}, 1), w = Random({1, 1, kIn, kOut}, 2);
  const Tensor bias = Random({kOut}, 3), fc = Random({kOut, kClasses}, 4);
  const Tensor offset = Random({kClasses}, 5);
  GraphBuilder b;
  b.Placeholder("x", x.shape());
  b.Const("w", w);
  b.Conv("conv", "x", "w", "SAME");
  b.Const("bias", bias);
  b.Add("sum", "BiasAdd", {"conv", "bias"});
  b.Add("image", "Relu", {"sum"});
  b.Ints("hw", {1, 2});
  b.Add("mean", "Mean", {"image", "hw"});
  b.Const("fc", fc);
  b.Add("product", "MatMul", {"mean", "fc"});
  b.Const("offset", offset);
  b.Add("logits", "BiasAdd", {"product", "offset"});

  const std::vector<double> rx = Rounded(x), rw = Rounded(w), rfc = Rounded(fc);
  for (const Engine& engine : kEngines) {
    SCOPED_TRACE(static_cast<int>(engine.backend));
    ASSERT_OK_AND_ASSIGN(
        const auto got,
        testing::RunGraph(b.graph(), {{"x", x}},
                          OptionsFor(engine, {"image", "mean", "logits"})));
    const auto image = got[0].data<float>(), mean = got[1].data<float>(),
               logits = got[2].data<float>();
    // Half of the last of eight bits, and what float32 sums lose.
    constexpr double kHalf = 0x1p-8, kSum = 1e-6;
    for (int p = 0; p < kPixels; ++p) {
      for (int c = 0; c < kOut; ++c) {
        double sum = bias.data<float>()[c];
        for (int k = 0; k < kIn; ++k) sum += rx[p * kIn + k] * rw[k * kOut + c];
        const double want = std::max(sum, 0.0);
        const float value = image[p * kOut + c];
        ASSERT_NEAR(value, want, kHalf * want + kSum);
        ASSERT_TRUE(IsBf16(value)) << value;
      }
    }
    int whole = 0;  // means that happen to be bfloat16
    for (int c = 0; c < kOut; ++c) {
      double sum = 0;
      for (int p = 0; p < kPixels; ++p) sum += image[p * kOut + c];
      EXPECT_NEAR(mean[c], sum / kPixels, 1e-6);
      whole += IsBf16(mean[c]);
    }
    EXPECT_LT(whole, kOut / 2);
    for (int c = 0; c < kClasses; ++c) {
      double sum = offset.data<float>()[c];
      for (int k = 0; k < kOut; ++k) {
        sum += NearestBf16(mean[k]) * rfc[k * kClasses + c];
      }
      EXPECT_NEAR(logits[c], sum, 2e-6);
    }
  }
}

TEST(Bf16, NotANumberStaysOne) {
  GraphBuilder b;
  Tensor x = Random({1, 2, 2, 8}, 1);
  x.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  b.Placeholder("x", x.shape());
  b.Const("w", Random({1, 1, 8, 4}, 2));
  b.Conv("conv", "x", "w", "SAME");
  for (const Engine& engine : kEngines) {
    ASSERT_OK_AND_ASSIGN(const auto got, testing::RunGraph(b.graph(), {{"x", x}},
                                                           OptionsFor(engine, {"conv"})));
    for (int i = 0; i < 16; ++i) {
      EXPECT_EQ(std::isnan(got[0].data<float>()[i]), i < 4) << i;
    }
  }
}

// What is fed or constant and fetched again is not touched.
TEST(Bf16, FetchedInputsAreTheirOwn) {
  GraphBuilder b;
  const Tensor x = Random({1, 3, 3, 4}, 1);
  b.Placeholder("x", x.shape());
  b.Add("same", "Identity", {"x"});
  b.Add("relu", "Relu", {"x"});
  for (const Engine& engine : kEngines) {
    ASSERT_OK_AND_ASSIGN(
        const auto got,
        testing::RunGraph(b.graph(), {{"x", x}}, OptionsFor(engine, {"same", "relu"})));
    for (size_t i = 0; i < x.data<float>().size(); ++i) {
      const float v = x.data<float>()[i];
      EXPECT_EQ(got[0].data<float>()[i], v);
      EXPECT_EQ(got[1].data<float>()[i], std::max(NearestBf16(v), 0.0));
    }
  }
}

// --- Every kind of operation

// A part of the network that is fused into one kernel, if it can be.
struct Stage {
  std::string name;  // of its result
  std::vector<std::string> inputs;
};

struct Network {
  GraphBuilder b;
  std::vector<Stage> stages;
  int seed = 10;

  void Add(const std::string& name, std::vector<std::string> inputs) {
    stages.push_back({name, std::move(inputs)});
  }
  std::string Weights(const std::string& name, const Shape& shape, float most = 0.4f) {
    b.Const(name + "/w", Random(shape, ++seed, -most, most));
    return name + "/w";
  }
  // Convolution, bias and an activation.
  void Conv(const std::string& name, const std::string& src, const Shape& filter,
            const char* activation, int stride = 1, const char* op = "Conv2D") {
    b.Conv(name + "/conv", src, Weights(name, filter), "SAME", stride, stride, 1, 1, op);
    const bool depthwise = op != std::string_view("Conv2D");
    const int64_t channels = depthwise ? filter.dim(2) * filter.dim(3) : filter.dim(3);
    b.Const(name + "/b", Random({channels}, ++seed));
    b.Add(name + "/bias", "BiasAdd", {name + "/conv", name + "/b"});
    b.Add(name, activation, {name + "/bias"});
    Add(name, {src});
  }
  void Op(const std::string& name, const char* op, std::vector<std::string> images,
          const std::string& constant = "", bool constant_first = false) {
    tensorflow::NodeDef& node = b.Add(name, op, {});
    if (constant_first) node.add_input(constant);
    for (const std::string& image : images) node.add_input(image);
    if (!constant.empty() && !constant_first) node.add_input(constant);
    Add(name, std::move(images));
  }
};

Network EveryKind(const Shape& image) {
  Network n;
  const int64_t batch = image.dim(0);
  n.b.Placeholder("x", image);
  n.Conv("stem", "x", {3, 3, 3, 16}, "Relu", 2);
  n.Conv("tanh", "stem", {1, 1, 16, 16}, "Tanh");
  n.Conv("dw", "stem", {3, 3, 16, 1}, "Relu6", 1, "DepthwiseConv2dNative");
  n.Conv("pw", "dw", {1, 1, 16, 24}, "Relu6");
  n.Conv("group", "stem", {3, 3, 4, 20}, "Relu");
  n.Conv("wide", "tanh", {1, 5, 16, 13}, "Relu");
  // A residual that is read again, and one that is not.
  n.b.Conv("up/conv", "pw", n.Weights("up", {1, 1, 24, 16}), "SAME");
  n.b.Add("up/sum", "AddV2", {"stem", "up/conv"});
  n.b.Add("up", "Relu", {"up/sum"});
  n.Add("up", {"pw", "stem"});
  n.b.Pool("maxpool", "up", "MaxPool", "VALID", 3, 3, 2, 2);
  n.Add("maxpool", {"up"});
  n.b.Pool("avgpool", "up", "AvgPool", "SAME", 3, 3, 1, 1);
  n.Add("avgpool", {"up"});
  n.b.Ints("axis", {3});
  n.Op("concat", "ConcatV2", {"tanh", "pw", "avgpool"}, "axis");
  n.Conv("after", "concat", {1, 1, 56, 8}, "Relu");
  // What stands alone.
  n.Op("sigmoid", "Sigmoid", {"concat"});
  n.Op("product", "Mul", {"tanh", "avgpool"});
  n.b.Const("scale", Random({16}, 90, 0.5f, 2));
  n.Op("scaled", "Mul", {"avgpool"}, "scale");
  n.b.Const("whole", Random(Shape{1, image.dim(1) / 2, image.dim(2) / 2, 16}, 91, 1, 2));
  n.Op("rest", "Sub", {"avgpool"}, "whole", /*constant_first=*/true);
  for (const char* part : {"s", "o", "m", "v"}) {
    n.b.Const(std::string("bn/") + part, Random({16}, ++n.seed, 0.3f, 2));
  }
  tensorflow::NodeDef& bn =
      n.b.Add("bn", "FusedBatchNormV3", {"avgpool", "bn/s", "bn/o", "bn/m", "bn/v"});
  graph::SetFloat(bn, "epsilon", 1e-3f);
  graph::SetBool(bn, "is_training", false);
  n.Add("bn", {"avgpool"});
  n.Op("rsqrt", "Rsqrt", {"sigmoid"});  // no kernel of oneDNN's
  n.b.Ints("swap", {0, 2, 1, 3});
  n.Op("transpose", "Transpose", {"tanh"}, "swap");
  // A gate of one number for each channel, and what is read through changes of shape.
  n.b.Ints("hw", {1, 2});
  graph::SetBool(n.b.Add("gate", "Mean", {"bn", "hw"}), "keep_dims", true);
  n.Add("gate", {"bn"});
  n.Op("gated", "Mul", {"scaled", "gate"});
  n.b.Ints("flat", {static_cast<int>(batch), 16});
  n.Op("features", "Reshape", {"gate"}, "flat");
  n.b.Add("logits/product", "MatMul", {"features", n.Weights("logits", {16, 10})});
  n.b.Const("logits/b", Random({10}, ++n.seed));
  n.b.Add("logits", "BiasAdd", {"logits/product", "logits/b"});
  n.Add("logits", {"features"});
  n.Op("probabilities", "Softmax", {"logits"});
  n.Op("mean", "Mean", {"gated"}, "hw");
  n.b.Add("head", "MatMul", {"mean", n.Weights("head", {16, 8})});
  n.Add("head", {"mean"});
  n.b.Ints("again", {static_cast<int>(batch), 2, 2, 2});
  n.Op("image", "Reshape", {"head"}, "again");
  n.Conv("last", "image", {1, 1, 2, 5}, "Elu");
  return n;
}

// One operation at a time: what a backend makes of its own values, against what the
// reference makes of the same. Sums in another order differ by units of their largest
// terms; where that moves one over the middle between two numbers of bfloat16, the
// results are neighbours, at most 2^-7 of themselves apart.
void ExpectStagesAgree(const Network& network, const Tensor& x, const Engine& engine) {
  std::vector<std::string> names;
  for (const Stage& stage : network.stages) names.push_back(stage.name);
  GraphBuilder b = network.b;
  ASSERT_OK_AND_ASSIGN(const auto results, testing::RunGraph(b.graph(), {{"x", x}},
                                                             OptionsFor(engine, names)));
  std::map<std::string, Tensor> values = {{"x", x}};
  for (size_t i = 0; i < names.size(); ++i) values.emplace(names[i], results[i]);
  for (const Stage& stage : network.stages) {
    std::vector<std::pair<std::string, Tensor>> inputs;
    for (const std::string& name : stage.inputs) {
      inputs.emplace_back(name, values.at(name));
    }
    ASSERT_OK_AND_ASSIGN(
        const auto want,
        testing::RunGraph(b.graph(), inputs,
                          OptionsFor({Backend::kReference}, {stage.name})));
    const auto w = want[0].data<float>(), g = values.at(stage.name).data<float>();
    ASSERT_EQ(w.size(), g.size());
    const bool image = want[0].shape().rank() == 4 && stage.name != "image";
    float most = 0;
    for (const float v : w) most = std::max(most, std::abs(v));
    size_t equal = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      const float neighbour = image ? 0x1p-7f * std::abs(w[i]) : 0;
      ASSERT_NEAR(g[i], w[i], neighbour + 1e-5f * most)
          << stage.name << " element " << i << " backend "
          << static_cast<int>(engine.backend);
      if (image) {
        ASSERT_TRUE(IsBf16(g[i])) << stage.name << " " << g[i];
      }
      equal += g[i] == w[i];
    }
    // Ties are rare.
    if (image) {
      EXPECT_GE(equal, w.size() * 97 / 100) << stage.name;
    }
  }
}

TEST(Bf16, EveryKindOfOperationAgreesWithTheReference) {
  const Shape image{2, 14, 10, 3};
  const Network network = EveryKind(image);
  const Tensor x = Random(image, 7);
  for (const Engine& engine : kEngines) {
    ExpectStagesAgree(network, x, engine);
    if (HasFatalFailure()) return;
  }
}

// Nothing fetched between: kernels are fused, and work in place and in slices.
TEST(Bf16, WholeNetworksStayNear) {
  const Shape image{1, 14, 10, 3};
  Network network = EveryKind(image);
  const Tensor x = Random(image, 8);
  const std::vector<std::string> outputs = {"probabilities", "last", "after", "product"};
  PlanOptions exact = OptionsFor({Backend::kReference}, outputs);
  exact.precision = Precision::kF32;
  ASSERT_OK_AND_ASSIGN(const auto want,
                       testing::RunGraph(network.b.graph(), {{"x", x}}, exact));
  for (const Engine& engine : kEngines) {
    ASSERT_OK_AND_ASSIGN(const auto got, testing::RunGraph(network.b.graph(), {{"x", x}},
                                                           OptionsFor(engine, outputs)));
    for (size_t o = 0; o < outputs.size(); ++o) {
      double errors = 0, squares = 0;
      for (size_t i = 0; i < want[o].data<float>().size(); ++i) {
        const double w = want[o].data<float>()[i], g = got[o].data<float>()[i];
        errors += (g - w) * (g - w);
        squares += w * w;
      }
      // Roundings of 2^-9 at most, on average, at each of some ten operations.
      EXPECT_LT(std::sqrt(errors / squares), 10 * 0x1p-9) << outputs[o];
      EXPECT_GT(errors, 0) << outputs[o];
    }
  }
}

// --- The machine

TEST(Bf16, SaysWhatItIs) {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 8, 8, 16});
  b.Const("w", Random({3, 3, 16, 16}, 1));
  b.Conv("conv", "x", "w", "SAME");
  PlanOptions options = OptionsFor({Backend::kAuto}, {"conv"});
  options.inputs = {{"x", Shape{1, 8, 8, 16}}};
  ASSERT_OK_AND_ASSIGN(const auto plan, Plan::Compile(b.graph(), options));
  EXPECT_EQ(plan->stats().precision, Precision::kBf16);
  const bool simulated = std::ranges::any_of(
      plan->steps(), [](const auto& step) { return step.implementation == "simulated"; });
  EXPECT_EQ(simulated, !HasBf16());
  EXPECT_EQ(Bf16Caveat().empty(), HasFastBf16());
}

TEST(Bf16, HalvesWhatIsStored) {
  if (!HasBf16()) GTEST_SKIP() << "oneDNN has no bf16 for this CPU";
  GraphBuilder b;
  const Shape image{1, 8, 8, 64};
  b.Placeholder("x", image);
  std::string src = "x";
  for (int i = 0; i < 4; ++i) {
    const std::string name = "conv" + std::to_string(i);
    b.Const(name + "/w", Random({3, 3, 64, 64}, i, -0.1f, 0.1f));
    b.Conv(name, src, name + "/w", "SAME");
    src = name;
  }
  PlanOptions options = OptionsFor({Backend::kAuto}, {src});
  options.inputs = {{"x", image}};
  ASSERT_OK_AND_ASSIGN(const auto bf16, Plan::Compile(b.graph(), options));
  options.backend = Backend::kOneDnn;
  options.precision = Precision::kF32;
  ASSERT_OK_AND_ASSIGN(const auto f32, Plan::Compile(b.graph(), options));
  EXPECT_EQ(2 * bf16->stats().weight_bytes, f32->stats().weight_bytes);
  EXPECT_LT(bf16->stats().activation_bytes, f32->stats().activation_bytes);
  // What is fed and what is fetched, each once; weights were reordered before.
  EXPECT_EQ(std::ranges::count(bf16->steps(), "Reorder", &StepInfo::op), 2);
}

}  // namespace
}  // namespace oriel::engine
