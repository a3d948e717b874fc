#include "engine/quantize/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/testing.h"
#include "checkpoint/checkpoint.h"
#include "engine/fuse.h"
#include "engine/import.h"
#include "engine/ops.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/run_graph.h"

namespace oriel::engine {
namespace {

using ::testing::ElementsAre;
using testing::GraphBuilder;
using ::testing::HasSubstr;

// --- Parameters, by hand from the formulas.

TEST(ChooseQuantization, NonNegativeValuesStartAtZero) {
  const ActivationQuantization q = ChooseQuantization({0, 6}, 8);
  EXPECT_EQ(q.zero_point, 0);
  EXPECT_EQ(q.max, 255);
  EXPECT_FLOAT_EQ(q.scale, 6.0f / 255);
  EXPECT_FLOAT_EQ(q.inverse_scale, 42.5f);
  // A range away from zero is widened to it.
  EXPECT_EQ(ChooseQuantization({2, 6}, 8), q);
}

TEST(ChooseQuantization, SignedValuesHaveAnExactZero) {
  // 1/16 by 255 steps from -2: zero lies on step 32.
  const ActivationQuantization q = ChooseQuantization({-2, 13.9375f}, 8);
  EXPECT_EQ(q.scale, 0.0625f);
  EXPECT_EQ(q.inverse_scale, 16.0f);
  EXPECT_EQ(q.zero_point, 32);
  // -1 to 1 has its middle between two steps: 127.5 goes to the even one.
  EXPECT_EQ(ChooseQuantization({-1, 1}, 8).zero_point, 128);
  EXPECT_EQ(ChooseQuantization({-3, -1}, 8).zero_point, 255);
  for (const ValueRange range : {ValueRange{-0.3f, 7}, {-5, 0.01f}, {-1e-20f, 1e20f}}) {
    const ActivationQuantization any = ChooseQuantization(range, 8);
    EXPECT_EQ(Dequantize(Quantize(0, any), any), 0);
  }
}

TEST(ChooseQuantization, SevenBits) {
  const ActivationQuantization q = ChooseQuantization({0, 12.7f}, 7);
  EXPECT_EQ(q.max, 127);
  EXPECT_FLOAT_EQ(q.scale, 0.1f);
  EXPECT_EQ(Quantize(100, q), 127);
}

TEST(ChooseQuantization, ARangeOfNothing) {
  for (const ValueRange range : {ValueRange{0, 0}, {0, 1e-42f}, {-1e-44f, 1e-43f}}) {
    const ActivationQuantization q = ChooseQuantization(range, 8);
    EXPECT_EQ(q.scale, 1);
    EXPECT_EQ(Quantize(0, q), q.zero_point);
  }
}

TEST(Quantize, RoundsHalvesToEvenAndClips) {
  const ActivationQuantization q = {
      .scale = 0.5f, .inverse_scale = 2, .zero_point = 10, .max = 255};
  EXPECT_EQ(Quantize(0.25f, q), 10);
  EXPECT_EQ(Quantize(0.75f, q), 12);
  EXPECT_EQ(Quantize(-0.25f, q), 10);
  EXPECT_EQ(Quantize(-0.75f, q), 8);
  EXPECT_EQ(Quantize(-1e30f, q), 0);
  EXPECT_EQ(Quantize(1e30f, q), 255);
  EXPECT_EQ(Quantize(INFINITY, q), 255);
  EXPECT_EQ(Quantize(NAN, q), 0);
  EXPECT_EQ(Dequantize(12, q), 1);
}

TEST(QuantizeWeights, OneScaleForEachOutputChannel) {
  const std::vector<float> values = {0.5f, 0, -12.7f, -1, 0, 0.05f};
  const Tensor weights = Tensor::Of<float>(Shape{2, 3}, values);
  const QuantizedWeights columns = QuantizeWeights(weights, 3, false);
  EXPECT_THAT(columns.values.data<int8_t>(), ElementsAre(64, 0, -127, -127, 0, 0));
  EXPECT_THAT(columns.scales.data<float>(),
              ElementsAre(::testing::FloatEq(1.0f / 127), 1, ::testing::FloatEq(0.1f)));
  const std::vector<float> odd = {NAN, 1, INFINITY};
  EXPECT_THAT(QuantizeWeights(Tensor::Of<float>(Shape{1, 3}, odd), 3, false)
                  .values.data<int8_t>(),
              ElementsAre(0, 127, 127));
  const QuantizedWeights rows = QuantizeWeights(weights, 2, true);
  EXPECT_THAT(rows.values.data<int8_t>(), ElementsAre(5, 0, -127, -127, 0, 6));
}

// --- Operations, against ONNX Runtime.

struct Case {
  std::string name;
  std::map<std::string, Tensor> tensors;

  bool has(const char* key) const { return tensors.contains(key); }
  const Tensor& at(const char* key) const { return tensors.at(key); }
  int setting(int i) const { return at("settings").data<int32_t>()[i]; }
  bool depthwise() const { return setting(0) != 0; }
  int bits() const { return setting(5); }
  bool transposed() const { return setting(7) != 0; }
  int64_t channels() const { return at("y").shape().dim(-1); }
  ValueRange range() const {
    return {at("range").data<float>()[0], at("range").data<float>()[1]};
  }
};

const std::vector<Case>& Cases() {
  static const auto* const cases = [] {
    const auto source = checkpoint::Open(TestData("quantize/cases.safetensors")).value();
    std::map<std::string, Case> by_name;
    for (const VariableInfo& variable : source->variables()) {
      const size_t slash = variable.name.find('/');
      Case& c = by_name[variable.name.substr(0, slash)];
      c.name = variable.name.substr(0, slash);
      // An own copy: what is mapped may lie at odd addresses.
      c.tensors[variable.name.substr(slash + 1)] =
          source->Read(variable.name).value().Clone();
    }
    auto* all = new std::vector<Case>;
    for (auto& [name, c] : by_name) all->push_back(std::move(c));
    return all;
  }();
  return *cases;
}

// x -> [Conv2D | DepthwiseConv2dNative | MatMul] -> bias -> residual -> activation.
GraphBuilder BuildGraph(const Case& c) {
  GraphBuilder b;
  b.Placeholder("x", c.at("x").shape());
  b.Const("w", c.at("w"));
  if (c.at("x").shape().rank() == 2) {
    graph::SetBool(b.Add("sum", "MatMul", {"x", "w"}), "transpose_b", c.transposed());
  } else {
    const int stride = c.setting(1), dilation = c.setting(2);
    b.Conv("sum", "x", "w", c.setting(3) != 0 ? "SAME" : "VALID", stride, stride,
           dilation, dilation, c.depthwise() ? "DepthwiseConv2dNative" : "Conv2D");
  }
  std::string last = "sum";
  if (c.has("bias")) {
    b.Const("bias", c.at("bias"));
    b.Add("biased", "BiasAdd", {last, "bias"});
    last = "biased";
  }
  if (c.has("residual")) {
    b.Placeholder("residual", c.at("residual").shape());
    b.Add("added", "AddV2", {last, "residual"});
    last = "added";
  }
  if (c.setting(6) != 0) {
    b.Add("active", c.setting(6) == 2 ? "Relu6" : "Relu", {last});
    last = "active";
  }
  b.Add("y", "Identity", {last});
  return b;
}

std::shared_ptr<Calibration> CalibrationOf(const Case& c) {
  auto calibration = std::make_shared<Calibration>();
  calibration->ranges["x"] = c.range();
  return calibration;
}

PlanOptions OptionsOf(const Case& c, PlanOptions options,
                      std::shared_ptr<const Calibration> calibration) {
  options.precision = Precision::kInt8;
  options.calibration = std::move(calibration);
  if (options.activation_bits == 0) options.activation_bits = c.bits();
  options.outputs = {"y"};
  return options;
}

absl::StatusOr<std::shared_ptr<const Plan>> CompileCase(
    const Case& c, PlanOptions options, std::shared_ptr<const Calibration> calibration) {
  options = OptionsOf(c, std::move(options), std::move(calibration));
  GraphBuilder b = BuildGraph(c);
  return Plan::Compile(b.graph(), options);
}

// Those whose implementation has this in its name.
int CountSteps(const Plan& plan, std::string_view name) {
  return static_cast<int>(
      std::count_if(plan.steps().begin(), plan.steps().end(), [&](const StepInfo& step) {
        return step.implementation.find(name) != std::string::npos;
      }));
}

absl::StatusOr<Tensor> RunCase(const Case& c, PlanOptions options,
                               std::shared_ptr<const Calibration> calibration) {
  std::vector<std::pair<std::string, Tensor>> inputs = {{"x", c.at("x")}};
  if (c.has("residual")) inputs.emplace_back("residual", c.at("residual"));
  options = OptionsOf(c, std::move(options), std::move(calibration));
  GraphBuilder b = BuildGraph(c);
  ASSIGN_OR_RETURN(std::vector<Tensor> results,
                   testing::RunGraph(b.graph(), inputs, options));
  return results[0];
}

TEST(QuantizedCases, AreThere) { EXPECT_EQ(Cases().size(), 12); }

TEST(QuantizedCases, ValuesAndWeights) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const ActivationQuantization quantization = ChooseQuantization(c.range(), c.bits());
    const auto x = c.at("x").data<float>();
    const auto q = c.at("q").data<uint8_t>();
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(Quantize(x[i], quantization), q[i]) << i << ": " << x[i];
    }
    const QuantizedWeights weights =
        QuantizeWeights(c.at("w"), c.channels(), c.transposed());
    EXPECT_EQ(AsStringView(weights.values.bytes()), AsStringView(c.at("wq").bytes()));
  }
}

TEST(QuantizedCases, ReferenceEqualsOnnxRuntime) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    PlanOptions options;
    options.backend = Backend::kReference;
    ASSERT_OK_AND_ASSIGN(const Tensor y, RunCase(c, options, CalibrationOf(c)));
    // The sums are exact and the rest is in float32 in one order: equal to the bit.
    EXPECT_TRUE(AsStringView(y.bytes()) == AsStringView(c.at("y").bytes()));
  }
}

TEST(QuantizedCases, OwnKernelsEqualOnnxRuntime) {
  if (!HasFastInt8()) GTEST_SKIP() << "no kernels for int8";
  int own = 0;
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    ASSERT_OK_AND_ASSIGN(const auto plan, CompileCase(c, {}, CalibrationOf(c)));
    // With only seven bits, cases of eight are simulated.
    if (CountSteps(*plan, "int8") == 0) continue;
    ++own;
    ASSERT_OK_AND_ASSIGN(const Tensor y, RunCase(c, {}, CalibrationOf(c)));
    EXPECT_TRUE(AsStringView(y.bytes()) == AsStringView(c.at("y").bytes()));
  }
  EXPECT_GE(own, FastInt8ActivationBits() == 8 ? 10 : 1);
}

TEST(QuantizedCases, OwnKernelsEqualTheReference) {
  if (!HasFastInt8()) GTEST_SKIP() << "no kernels for int8";
  int own = 0;
  for (const Case& c : Cases()) {
    PlanOptions options;
    options.activation_bits = FastInt8ActivationBits();
    options.backend = Backend::kReference;
    ASSERT_OK_AND_ASSIGN(const Tensor want, RunCase(c, options, CalibrationOf(c)));
    options.backend = Backend::kAuto;
    for (options.threads = 1; options.threads <= 3; ++options.threads) {
      SCOPED_TRACE(fmt::format("{}, {} threads", c.name, options.threads));
      ASSERT_OK_AND_ASSIGN(const auto plan, CompileCase(c, options, CalibrationOf(c)));
      if (CountSteps(*plan, "int8") == 0) continue;
      ++own;
      ASSERT_OK_AND_ASSIGN(const Tensor y, RunCase(c, options, CalibrationOf(c)));
      EXPECT_TRUE(AsStringView(y.bytes()) == AsStringView(want.bytes()));
    }
  }
  EXPECT_GE(own, 3 * 10);  // all but convolutions with groups
}

TEST(QuantizedCases, SimulationDiffersByRoundingOnly) {
  for (const Case& c : Cases()) {
    for (const auto layout :
         {ActivationLayout::kBlocked, ActivationLayout::kChannelsLast}) {
      SCOPED_TRACE(c.name);
      PlanOptions options;
      options.backend = Backend::kOneDnn;
      options.layout = layout;
      ASSERT_OK_AND_ASSIGN(const Tensor y, RunCase(c, options, CalibrationOf(c)));
      const auto want = c.at("y").data<float>();
      float most = 1;
      for (const float v : want) most = std::max(most, std::abs(v));
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_NEAR(y.data<float>()[i], want[i], 2e-6f * most) << i;
      }
    }
  }
}

TEST(QuantizedCases, BiasCorrectionIsAdded) {
  for (const Case& c : Cases()) {
    if (c.setting(6) != 0) continue;
    SCOPED_TRACE(c.name);
    auto calibration = CalibrationOf(c);
    std::vector<float>& correction =
        calibration->bias_corrections[c.has("residual") ? "added"
                                      : c.has("bias")   ? "biased"
                                                        : "sum"];
    for (int64_t i = 0; i < c.channels(); ++i) correction.push_back(0.5f * (i % 3));
    for (const Backend backend : {Backend::kReference, Backend::kOneDnn}) {
      PlanOptions options;
      options.backend = backend;
      ASSERT_OK_AND_ASSIGN(const Tensor y, RunCase(c, options, calibration));
      const auto plain = c.at("y").data<float>();
      for (size_t i = 0; i < plain.size(); ++i) {
        ASSERT_NEAR(y.data<float>()[i], plain[i] + correction[i % correction.size()],
                    1e-4f)
            << i;
      }
    }
    correction.pop_back();
    EXPECT_THAT(RunCase(c, {}, calibration).status().ToString(),
                HasSubstr("bias correction has"));
  }
}

// --- The pass.

Tensor Ramp(const Shape& shape, float start, float step) {
  Tensor tensor(DType::kFloat32, shape);
  for (float& v : tensor.mutable_data<float>()) {
    v = start;
    start = start > 1 ? start - 1.9f : start + step;
  }
  return tensor;
}

// x -> first -> relu -> {pool, branch} -> concat -> last, and a sum with the pool.
GraphBuilder Network() {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 8, 8, 4});
  b.Const("w1", Ramp(Shape{3, 3, 4, 8}, -0.3f, 0.013f));
  b.Conv("first", "x", "w1", "SAME");
  b.Add("relu", "Relu", {"first"});
  b.Pool("pool", "relu", "MaxPool", "SAME", 3, 3, 1, 1);
  b.Const("w2", Ramp(Shape{1, 1, 8, 8}, -0.2f, 0.029f));
  b.Conv("branch", "relu", "w2", "SAME");
  b.Ints("axis", {3});
  b.Add("concat", "ConcatV2", {"pool", "branch", "axis"});
  b.Const("w3", Ramp(Shape{1, 1, 16, 8}, -0.4f, 0.031f));
  b.Conv("last", "concat", "w3", "SAME");
  b.Add("sum", "AddV2", {"last", "pool"});
  return b;
}

Calibration NetworkCalibration() {
  Calibration calibration;
  calibration.ranges = {{"x", {-1, 1}}, {"relu", {0, 4}}, {"concat", {-3, 5}}};
  return calibration;
}

absl::StatusOr<Ir> FusedIr(const tensorflow::GraphDef& graph) {
  PlanOptions options;
  options.outputs = {"sum"};
  ASSIGN_OR_RETURN(Ir ir, ImportGraph(graph, options));
  FuseOps(ir);
  return ir;
}

const Op* FindNamed(const Ir& ir, std::string_view name) {
  for (const Op& op : ir.ops) {
    if (op.name == name) return &op;
  }
  return nullptr;
}

TEST(QuantizeOps, PoolsAndConcatenationsShareOneQuantization) {
  GraphBuilder b = Network();
  ASSERT_OK_AND_ASSIGN(Ir ir, FusedIr(b.graph()));
  Calibration calibration = NetworkCalibration();
  calibration.wider = {"relu"};
  ASSERT_OK(QuantizeOps(ir, calibration, 8));
  EXPECT_EQ(FindNamed(ir, "relu")->quantization, nullptr);
  const auto shared = ChooseQuantization({-3, 5}, 8);
  EXPECT_EQ(FindNamed(ir, "branch")->quantization->input, shared);
  EXPECT_EQ(FindNamed(ir, "sum")->quantization->input, shared);
  std::set<std::string> same;
  for (const Value& value : ir.values) {
    if (value.quantization == shared) same.insert(value.name);
  }
  EXPECT_EQ(same, (std::set<std::string>{"relu", "pool", "branch", "concat"}));
  const Op& branch = *FindNamed(ir, "branch");
  EXPECT_EQ(ir.values[branch.inputs[1]].dtype, DType::kInt8);
  EXPECT_EQ(ir.values[branch.inputs[1]].constant->tensor().dtype(), DType::kInt8);
}

TEST(QuantizeOps, SimulationRoundsEachValueOnce) {
  GraphBuilder b = Network();
  ASSERT_OK_AND_ASSIGN(Ir ir, FusedIr(b.graph()));
  ASSERT_OK(QuantizeOps(ir, NetworkCalibration(), 8));
  SimulateQuantization(ir);
  std::vector<std::string> rounded;
  for (const Op& op : ir.ops) {
    EXPECT_EQ(op.quantization, nullptr);
    if (op.type == FakeQuantizeOp()) rounded.push_back(op.name);
  }
  EXPECT_THAT(rounded, ElementsAre("x/quantized", "relu/quantized", "concat/quantized"));
}

TEST(QuantizeOps, SimulatesSomeOperationsAlone) {
  GraphBuilder b = Network();
  ASSERT_OK_AND_ASSIGN(Ir ir, FusedIr(b.graph()));
  ASSERT_OK(QuantizeOps(ir, NetworkCalibration(), 8));
  SimulateQuantization(ir, [](const Op& op) { return op.name == "branch"; });
  EXPECT_EQ(FindNamed(ir, "branch")->quantization, nullptr);
  EXPECT_NE(FindNamed(ir, "sum")->quantization, nullptr);
  EXPECT_NE(FindNamed(ir, "relu/quantized"), nullptr);
  EXPECT_EQ(FindNamed(ir, "concat/quantized"), nullptr);
}

TEST(QuantizeOps, SimulationOfANetworkEqualsTheReference) {
  GraphBuilder b = Network();
  PlanOptions options;
  options.precision = Precision::kInt8;
  options.calibration = std::make_shared<Calibration>(NetworkCalibration());
  options.outputs = {"sum"};
  const std::vector<std::pair<std::string, Tensor>> inputs = {
      {"x", Ramp(Shape{1, 8, 8, 4}, -1, 0.017f)}};
  ASSERT_OK_AND_ASSIGN(const auto simulated,
                       testing::RunGraph(b.graph(), inputs, options));
  options.backend = Backend::kReference;
  ASSERT_OK_AND_ASSIGN(const auto reference,
                       testing::RunGraph(b.graph(), inputs, options));
  options.precision = Precision::kF32;
  ASSERT_OK_AND_ASSIGN(const auto exact, testing::RunGraph(b.graph(), inputs, options));
  double rounding = 0, error = 0;
  for (size_t i = 0; i < exact[0].data<float>().size(); ++i) {
    rounding += std::abs(simulated[0].data<float>()[i] - reference[0].data<float>()[i]);
    error += std::abs(exact[0].data<float>()[i] - reference[0].data<float>()[i]);
  }
  EXPECT_GT(error, 0);
  // A value on the edge between two steps may fall to either side.
  EXPECT_LT(rounding, 0.02 * error);
}

// What lies as bytes, as floats or as both, in slices of one concatenation or of two,
// for readers of all kinds.
GraphBuilder NetworkOfForms() {
  GraphBuilder b;
  b.Placeholder("x", Shape{2, 9, 10, 8});
  const auto conv = [&](const char* name, const char* src, Shape filter, float step,
                        const char* type = "Conv2D") {
    b.Const(std::string(name) + "/w", Ramp(filter, -0.4f, step));
    b.Conv(name, src, std::string(name) + "/w", "SAME", 1, 1, 1, 1, type);
  };
  conv("wide", "x", Shape{3, 3, 8, 8}, 0.017f);  // stays float32
  b.Add("stem", "Relu", {"wide"});
  b.Pool("max", "stem", "MaxPool", "SAME", 3, 3, 1, 1);
  b.Pool("mean", "max", "AvgPool", "SAME", 3, 3, 1, 1);
  conv("thin", "mean", Shape{1, 1, 8, 4}, 0.031f);
  conv("depthwise", "max", Shape{3, 3, 8, 1}, 0.041f, "DepthwiseConv2dNative");
  conv("long", "stem", Shape{1, 7, 8, 13}, 0.023f);
  b.Ints("axis", {3});
  b.Add("concat", "ConcatV2", {"thin", "depthwise", "long", "stem", "axis"});
  conv("up", "concat", Shape{1, 1, 33, 8}, 0.019f);
  b.Add("residual", "AddV2", {"up", "stem"});
  b.Add("sum", "Relu", {"residual"});
  conv("again", "sum", Shape{3, 3, 8, 8}, 0.013f);
  b.Add("second", "ConcatV2", {"again", "thin", "sum", "axis"});
  conv("last", "second", Shape{1, 1, 20, 8}, 0.027f);
  b.Add("both", "AddV2", {"last", "sum"});
  b.Pool("pooled", "both", "AvgPool", "VALID", 9, 10, 1, 1);
  b.Ints("flat", {2, 8});
  b.Add("rows", "Reshape", {"pooled", "flat"});
  b.Const("matrix", Ramp(Shape{8, 5}, -0.3f, 0.043f));
  b.Add("scores", "MatMul", {"rows", "matrix"});
  return b;
}

TEST(QuantizeOps, OwnKernelsEqualTheReferenceOverANetwork) {
  if (!HasFastInt8()) GTEST_SKIP() << "no kernels for int8";
  GraphBuilder b = NetworkOfForms();
  auto calibration = std::make_shared<Calibration>();
  for (const auto& [name, range] :
       std::map<std::string, ValueRange>{{"mean", {0, 2}},
                                         {"stem", {0, 3}},
                                         {"concat", {-2, 3}},
                                         {"sum", {0, 9}},
                                         {"second", {-4, 9}},
                                         {"rows", {-5, 20}}}) {
    calibration->ranges[name] = range;
  }
  calibration->wider = {"stem"};
  PlanOptions options;
  options.precision = Precision::kInt8;
  options.calibration = calibration;
  options.activation_bits = FastInt8ActivationBits();
  const std::vector<std::pair<std::string, Tensor>> inputs = {
      {"x", Ramp(Shape{2, 9, 10, 8}, -1, 0.017f)}};
  // Whatever is fetched has to lie as float32, too.
  for (const std::vector<std::string>& outputs : std::vector<std::vector<std::string>>{
           {"scores"}, {"scores", "concat", "max"}, {"second", "thin"}}) {
    options.outputs = outputs;
    options.backend = Backend::kReference;
    ASSERT_OK_AND_ASSIGN(const auto want, testing::RunGraph(b.graph(), inputs, options));
    options.backend = Backend::kAuto;
    options.inputs = {{"x", Shape{2, 9, 10, 8}}};
    ASSERT_OK_AND_ASSIGN(const auto plan, Plan::Compile(b.graph(), options));
    EXPECT_GE(CountSteps(*plan, "int8"), outputs[0] == "second" ? 6 : 7);
    EXPECT_EQ(CountSteps(*plan, "simulated"), 0);
    options.inputs.clear();
    for (const int threads : {1, 2, 3}) {
      options.threads = threads;
      ASSERT_OK_AND_ASSIGN(const auto got, testing::RunGraph(b.graph(), inputs, options));
      for (size_t i = 0; i < outputs.size(); ++i) {
        const auto x = got[i].data<float>(), y = want[i].data<float>();
        int differ = 0;
        for (size_t k = 0; k < y.size(); ++k) differ += std::abs(x[k] - y[k]) > 1e-4f;
        EXPECT_EQ(differ, 0) << outputs[i] << ", " << threads << " threads";
      }
    }
  }
}

TEST(QuantizeOps, NeedsACalibrationOfThisGraph) {
  GraphBuilder b = Network();
  const std::vector<std::pair<std::string, Tensor>> inputs = {
      {"x", Tensor(DType::kFloat32, Shape{1, 8, 8, 4})}};
  PlanOptions options;
  options.precision = Precision::kInt8;
  options.outputs = {"sum"};
  EXPECT_THAT(testing::RunGraph(b.graph(), inputs, options).status().ToString(),
              HasSubstr("needs a calibration"));
  auto other = std::make_shared<Calibration>();
  other->ranges["somewhere"] = {0, 1};
  options.calibration = other;
  EXPECT_THAT(testing::RunGraph(b.graph(), inputs, options).status().ToString(),
              HasSubstr("names none of"));
  auto broken = std::make_shared<Calibration>();
  broken->ranges["x"] = {0, INFINITY};
  options.calibration = broken;
  EXPECT_THAT(testing::RunGraph(b.graph(), inputs, options).status().ToString(),
              HasSubstr("the range of 'x'"));
  options.calibration = std::make_shared<Calibration>(NetworkCalibration());
  options.activation_bits = 3;
  EXPECT_THAT(testing::RunGraph(b.graph(), inputs, options).status().ToString(),
              HasSubstr("3 bits"));
}

}  // namespace
}  // namespace oriel::engine
