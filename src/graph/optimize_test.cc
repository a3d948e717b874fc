#include "graph/optimize.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/testing.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using ::testing::Pointwise;

absl::StatusOr<GraphDef> Optimize(const GraphDef& graph,
                                  std::vector<std::string> outputs = {"y"},
                                  std::vector<std::string> skip = {}) {
  return OptimizeForInference(graph, {.input_names = {"x"},
                                      .output_names = std::move(outputs),
                                      .skip = std::move(skip)});
}

// x -> conv, a 1x1 convolution from one channel to two with weights {1, -2}.
GraphDef Convolution(const std::string& op = "Conv2D") {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  const bool depthwise = op != "Conv2D";
  AddConst(graph, "w", depthwise ? Shape{1, 1, 2, 1} : Shape{1, 1, 1, 2}, {1, -2});
  AddNode(graph, "w/read", "Identity", {"w"});
  AddNode(graph, "conv", op, {"x", "w/read"});
  return graph;
}

// Two channels: scale {4 / 2, -3 / 1}, so that y = conv * {2, -3} + {1, 35}.
void AddParameters(GraphDef& graph) {
  AddConst(graph, "gamma", {2}, {4, -3});
  AddConst(graph, "beta", {2}, {11, 20});
  AddConst(graph, "mean", {2}, {5, 5});
  AddConst(graph, "variance", {2}, {3.75f, 0.75f});
}

NodeDef& AddFused(GraphDef& graph, const std::string& name, const std::string& value) {
  NodeDef& node = AddNode(graph, name, "FusedBatchNormV3",
                          {value, "gamma", "beta", "mean", "variance"});
  SetType(node, "U", DType::kFloat32);
  SetBool(node, "is_training", false);
  SetFloat(node, "epsilon", 0.25f);
  return node;
}

void ExpectFolded(const GraphDef& graph, const std::vector<float>& weights,
                  const std::vector<float>& offset) {
  const NodeDef* const y = FindNode(graph, "y");
  ASSERT_NE(y, nullptr);
  EXPECT_EQ(y->op(), "BiasAdd");
  EXPECT_THAT(y->input(), ElementsAre("conv", "conv_bn_offset"));
  EXPECT_THAT(NodeNames(graph),
              ElementsAre("x", "conv_weights", "conv", "conv_bn_offset", "y"));
  EXPECT_THAT(FindNode(graph, "conv")->input(), ElementsAre("x", "conv_weights"));
  EXPECT_THAT(ConstFloats(graph, "conv_weights"), Pointwise(FloatEq(), weights));
  EXPECT_THAT(ConstFloats(graph, "conv_bn_offset"), Pointwise(FloatEq(), offset));
}

TEST(FoldBatchNorm, Fused) {
  for (const char* conv : {"Conv2D", "DepthwiseConv2dNative"}) {
    for (const char* op : {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}) {
      GraphDef graph = Convolution(conv);
      AddParameters(graph);
      AddFused(graph, "y", "conv").set_op(op);
      ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
      ExpectFolded(result, {2, 6}, {1, 35});
    }
  }
}

TEST(FoldBatchNorm, ABiasInBetween) {
  for (const char* op : {"BiasAdd", "Add", "AddV2"}) {
    GraphDef graph = Convolution();
    AddConst(graph, "bias", {2}, {10, 100});
    AddNode(graph, "biased", op, {"conv", "bias"});
    AddParameters(graph);
    AddFused(graph, "y", "biased");
    ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
    ExpectFolded(result, {2, 6}, {21, -265});
  }
}

TEST(FoldBatchNorm, Global) {
  for (const bool scales : {true, false}) {
    GraphDef graph = Convolution();
    AddParameters(graph);
    NodeDef& node = AddNode(graph, "y", "BatchNormWithGlobalNormalization",
                            {"conv", "mean", "variance", "beta", "gamma"});
    SetFloat(node, "variance_epsilon", 0.25f);
    SetBool(node, "scale_after_normalization", scales);
    ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
    if (scales) {
      ExpectFolded(result, {2, 6}, {1, 35});
    } else {
      ExpectFolded(result, {0.5, -2}, {8.5, 15});
    }
  }
}

// Add(Mul(x, s), Sub(beta, Mul(mean, s))) with s = Rsqrt(variance + epsilon) [* gamma].
GraphDef Decomposed(const std::string& add, bool gamma, bool swapped) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddConst(graph, "epsilon", {}, {0.25f});
  const auto pair = [&](const std::string& a, const std::string& b) {
    return swapped ? std::vector{b, a} : std::vector{a, b};
  };
  AddNode(graph, "sum", add, pair("variance", "epsilon"));
  AddNode(graph, "rsqrt", "Rsqrt", {"sum"});
  std::string scale = "rsqrt";
  if (gamma) {
    scale = "scale";
    AddNode(graph, scale, "Mul", pair("rsqrt", "gamma"));
  }
  AddNode(graph, "scaled", "Mul", pair("conv", scale));
  AddNode(graph, "shift", "Mul", pair("mean", scale));
  AddNode(graph, "offset", "Sub", {"beta", "shift"});
  AddNode(graph, "y", add, pair("scaled", "offset"));
  return graph;
}

TEST(FoldBatchNorm, DecomposedInEveryOrder) {
  for (const char* add : {"Add", "AddV2"}) {
    for (const bool swapped : {false, true}) {
      ASSERT_OK_AND_ASSIGN(const GraphDef with, Optimize(Decomposed(add, true, swapped)));
      ExpectFolded(with, {2, 6}, {1, 35});
      ASSERT_OK_AND_ASSIGN(const GraphDef without,
                           Optimize(Decomposed(add, false, swapped)));
      ExpectFolded(without, {0.5, -2}, {8.5, 15});
    }
  }
}

TEST(FoldBatchNorm, KeepsControlInputsOfTheNorm) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddNode(graph, "guard", "Assert");
  AddFused(graph, "y", "conv").add_input("^guard");
  ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
  EXPECT_THAT(FindNode(result, "y")->input(),
              ElementsAre("conv", "conv_bn_offset", "^guard"));
}

TEST(FoldBatchNorm, LeavesWhatWouldChange) {
  const auto expect_left = [](GraphDef graph, std::vector<std::string> outputs = {"y"},
                              std::vector<std::string> skip = {}) {
    skip.emplace_back(
        "fold_mul_add");  // takes the products of the decomposed form alone.
    const auto result = Optimize(graph, std::move(outputs), skip);
    ASSERT_OK(result.status());
    EXPECT_EQ(FindNode(*result, "y")->op(), FindNode(graph, "y")->op());
    EXPECT_THAT(ConstFloats(*result, "w"), ElementsAre(1, -2));
  };
  GraphDef fused = Convolution();
  AddParameters(fused);
  AddFused(fused, "y", "conv");

  GraphDef graph = fused;  // a second reader, an output, a control input
  AddNode(graph, "z", "Relu", {"conv"});
  expect_left(graph, {"y", "z"});
  expect_left(fused, {"y", "conv"});
  graph = fused;
  AddNode(graph, "z", "Assert", {"x", "^conv"});
  expect_left(graph, {"y", "z"}, {"remove_control_inputs"});

  graph = fused;  // training, batch statistics read, weights not constant
  SetBool(*graph.mutable_node(graph.node_size() - 1), "is_training", true);
  expect_left(graph);
  graph = fused;
  AddNode(graph, "z", "Relu", {"y:1"});
  expect_left(graph, {"y", "z"});
  graph = fused;  // a variance that gives no finite scale
  SetTensor(*graph.mutable_node(7), "value", Floats({2}, {-0.25f, 1}));
  expect_left(graph);

  // The product of the decomposed form is itself an output.
  expect_left(Decomposed("AddV2", true, false), {"y", "scaled"});
  // The offset would broadcast to more channels.
  graph = Decomposed("AddV2", true, false);
  AddConst(graph, "wide", {3}, {1, 2, 3});
  graph.mutable_node(graph.node_size() - 2)->set_input(1, "wide");
  expect_left(graph);
}

TEST(FoldBatchNorm, SharedWeightsStayForTheOthers) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddFused(graph, "y", "conv");
  AddNode(graph, "z", "Conv2D", {"x", "w"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph, {"y", "z"}));
  EXPECT_EQ(FindNode(result, "y")->op(), "BiasAdd");
  EXPECT_THAT(ConstFloats(result, "conv_weights"), ElementsAre(2, 6));
  EXPECT_THAT(FindNode(result, "z")->input(), ElementsAre("x", "w"));
  EXPECT_THAT(ConstFloats(result, "w"), ElementsAre(1, -2));
}

TEST(FoldBatchNorm, NamesThatAreTaken) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddFused(graph, "y", "conv");
  AddNode(graph, "conv_weights", "Relu", {"x"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph, {"y", "conv_weights"}));
  EXPECT_EQ(FindNode(result, "conv_weights")->op(), "Relu");
  EXPECT_THAT(FindNode(result, "conv")->input(), ElementsAre("x", "conv_weights_1"));
}

TEST(FoldBatchNorm, SizesThatDoNotFitAreErrors) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddFused(graph, "y", "conv");
  GraphDef bad = graph;
  SetTensor(*bad.mutable_node(4), "value", Floats({3}, {1, 2, 3}));
  EXPECT_THAT(Message(Optimize(bad).status()), HasSubstr("node 'y' (FusedBatchNormV3)"));
  for (int i = 4; i < 8; ++i) {
    SetTensor(*graph.mutable_node(i), "value", Floats({3}, {1, 2, 3}));
  }
  EXPECT_THAT(Message(Optimize(graph).status()),
              HasSubstr("node 'y' (FusedBatchNormV3): parameters of 3 channels in NHWC, "
                        "but 'conv' makes 2"));
  SetTensor(*graph.mutable_node(1), "value", Floats({2}, {1, 2}));
  EXPECT_THAT(Message(Optimize(graph).status()),
              HasSubstr("node 'conv' (Conv2D): weights 'w' have shape [2]"));
}

TEST(FoldBatchNorm, BoundsWhatItMakes) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddFused(graph, "y", "conv");
  // One value in the file stands for a huge tensor.
  auto& proto = *graph.mutable_node(1)->mutable_attr()->at("value").mutable_tensor();
  proto.clear_tensor_content();
  proto.clear_float_val();
  proto.add_float_val(1);
  proto.mutable_tensor_shape()->mutable_dim(0)->set_size(1 << 29);
  EXPECT_EQ(Optimize(graph).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(FoldMulAdd, IntoTheConvolutionBefore) {
  for (const bool swapped : {false, true}) {
    GraphDef graph = Convolution();
    AddConst(graph, "bias", {2}, {10, 100});
    AddNode(graph, "biased", "BiasAdd", {"conv", "bias"});
    AddConst(graph, "scale", {}, {0.5});
    using Names = std::vector<std::string>;
    AddNode(graph, "y", "Mul",
            swapped ? Names{"scale", "biased"} : Names{"biased", "scale"});
    ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
    ExpectFolded(result, {0.5, -1}, {5, 50});
    // Not when the unscaled map is read as well.
    ASSERT_OK_AND_ASSIGN(const GraphDef kept, Optimize(graph, {"y", "biased"}));
    EXPECT_EQ(FindNode(kept, "y")->op(), "Mul");
  }
}

TEST(RemoveTrainingNodes, SplicesAndKeeps) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "check", "CheckNumerics", {"x"});
  AddNode(graph, "stop", "StopGradient", {"check"});
  AddNode(graph, "a", "Relu", {"stop"});
  AddNode(graph, "anchor", "Identity", {"a"});
  AddNode(graph, "guarded", "Identity", {"a", "^anchor"});
  AddNode(graph, "located", "Identity", {"guarded"});
  NodeDef& b = AddNode(graph, "b", "Relu", {"located"});
  (*b.mutable_attr())["_class"].mutable_list()->add_s("loc:@located");
  AddNode(graph, "v", "VariableV2");
  AddNode(graph, "v/read", "Identity", {"v"});
  AddNode(graph, "sum", "AddV2", {"b", "v/read"});
  AddNode(graph, "y", "Identity", {"sum"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
  EXPECT_THAT(NodeNames(result), ElementsAre("x", "a", "anchor", "guarded", "located",
                                             "b", "v", "v/read", "sum", "y"));
  EXPECT_THAT(FindNode(result, "a")->input(), ElementsAre("x"));
}

TEST(OptimizeForInference, Placeholders) {
  GraphDef graph;
  AddNode(graph, "file", "Placeholder");
  NodeDef& decode = AddNode(graph, "x", "DecodeJpeg", {"file"});
  SetShape(decode, "shape", {1, 2});
  SetInt(decode, "channels", 3);
  AddNode(graph, "y", "Relu", {"x"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, Optimize(graph));
  EXPECT_THAT(NodeNames(result), ElementsAre("x", "y"));
  const NodeDef& x = *FindNode(result, "x");
  EXPECT_EQ(x.op(), "Placeholder");
  EXPECT_EQ(x.attr().at("dtype").type(), tensorflow::DT_FLOAT);
  EXPECT_TRUE(x.attr().contains("shape"));
  EXPECT_EQ(x.attr().size(), 2);

  const auto error = [&](OptimizeOptions options) {
    options.output_names = {"y"};
    return std::string(Message(OptimizeForInference(graph, options).status()));
  };
  EXPECT_EQ(error({.input_names = {"x:0"}}),
            "Name 'x:0' appears to refer to a Tensor, not an Operation.");
  EXPECT_EQ(error({.input_names = {"p", "x", "q"}}),
            "The following input nodes were not found: {'p', 'q'}.");
  EXPECT_THAT(error({.input_names = {"x"}, .placeholder_types = {}}),
              HasSubstr("0 placeholder types for 1 inputs"));
  EXPECT_THAT(error({.input_names = {"x"}, .placeholder_types = {tensorflow::DT_UINT8}}),
              HasSubstr("node 'y' (Relu): input 0 ('x') is uint8, want float32"));
}

TEST(OptimizeForInference, PassesByName) {
  GraphDef graph = Convolution();
  AddParameters(graph);
  AddFused(graph, "y", "conv");
  std::vector<std::string> ran;
  OptimizeOptions options{.input_names = {"x"}, .output_names = {"y"}};
  options.on_pass = [&](const PassReport& report) {
    ran.emplace_back(report.name);
    EXPECT_GE(report.seconds, 0);
    if (report.name == "fold_batch_norm") {
      EXPECT_EQ(report.changes, 1);
      EXPECT_EQ(report.nodes_before, 8);
      EXPECT_EQ(report.nodes_after, 5);
    }
  };
  ASSERT_OK(OptimizeForInference(graph, options).status());
  EXPECT_EQ(ran.size(), Passes().size());
  EXPECT_THAT(ran, Contains("fold_batch_norm"));

  options.on_pass = nullptr;
  options.skip = {"fold_batch_norm"};
  ASSERT_OK_AND_ASSIGN(GraphDef result, OptimizeForInference(graph, options));
  EXPECT_EQ(FindNode(result, "y")->op(), "FusedBatchNormV3");
  options.skip.clear();
  options.only = {"remove_training_nodes"};
  ASSERT_OK_AND_ASSIGN(result, OptimizeForInference(graph, options));
  EXPECT_EQ(result.node_size(), graph.node_size() - 1);
  options.only = {"make_coffee"};
  EXPECT_THAT(
      Message(OptimizeForInference(graph, options).status()),
      HasSubstr("there is no pass 'make_coffee'; the passes are placeholder_to_const, "));
}

}  // namespace
}  // namespace oriel::graph
