// Scales and offsets around convolutions, resize and pad before them.

#include <gmock/gmock.h>

#include "graph/passes/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::Pointwise;

// x -> conv [-> biased] with weights {1, -2; 3, 4} from two channels to two.
GraphDef Convolution(bool bias) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "w", {1, 1, 2, 2}, {1, -2, 3, 4});
  AddNode(graph, "conv", "Conv2D", {"x", "w"});
  AddConst(graph, "bias", {2}, {10, 100});
  if (bias) AddNode(graph, "biased", "BiasAdd", {"conv", "bias"});
  AddConst(graph, "number", {}, {2});
  AddConst(graph, "vector", {2}, {2, -4});
  return graph;
}

using Strings = std::vector<std::string>;

struct Fold {
  const char* op;
  Strings inputs;  // "conv" is replaced by what was made so far
  std::vector<float> weights, offset;
};

TEST(FoldMulAdd, BehindABias) {
  for (const Fold& fold :
       std::vector<Fold>{{"Mul", {"conv", "number"}, {2, -4, 6, 8}, {20, 200}},
                         {"Mul", {"vector", "conv"}, {2, 8, 6, -16}, {20, -400}},
                         {"RealDiv", {"conv", "number"}, {0.5, -1, 1.5, 2}, {5, 50}},
                         {"Add", {"conv", "number"}, {1, -2, 3, 4}, {12, 102}},
                         {"AddV2", {"vector", "conv"}, {1, -2, 3, 4}, {12, 96}},
                         {"Sub", {"conv", "vector"}, {1, -2, 3, 4}, {8, 104}},
                         {"Sub", {"vector", "conv"}, {-1, 2, -3, -4}, {-8, -104}}}) {
    SCOPED_TRACE(fold.op);
    GraphDef graph = Convolution(true);
    Strings inputs = fold.inputs;
    for (std::string& input : inputs) {
      if (input == "conv") input = "biased";
    }
    AddNode(graph, "y", fold.op, inputs);
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_mul_add", graph));
    EXPECT_EQ(FindNode(result, "y")->op(), "BiasAdd");
    EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("conv", "conv_bn_offset"));
    const std::string weights = FindNode(result, "conv")->input(1);
    EXPECT_THAT(ConstFloats(result, weights), Pointwise(FloatEq(), fold.weights));
    EXPECT_THAT(ConstFloats(result, "conv_bn_offset"), Pointwise(FloatEq(), fold.offset));
    EXPECT_EQ(result.node_size(), 5);
  }
}

TEST(FoldMulAdd, WithoutABiasTheNodeIsTheConvolution) {
  GraphDef graph = Convolution(false);
  SetString(*graph.mutable_node(2), "padding", "SAME");
  AddNode(graph, "y", "Mul", {"conv", "vector"}).add_input("^assert");
  AddNode(graph, "assert", "Assert", {"x", "x"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_mul_add", graph));
  const NodeDef& y = *FindNode(result, "y");
  EXPECT_EQ(y.op(), "Conv2D");
  EXPECT_THAT(y.input(), ElementsAre("x", "conv_weights", "^assert"));
  EXPECT_EQ(y.attr().at("padding").s(), "SAME");
  EXPECT_THAT(ConstFloats(result, "conv_weights"), ElementsAre(2, 8, 6, -16));
  EXPECT_EQ(FindNode(result, "conv"), nullptr);
}

TEST(FoldBatchNorm, WithoutAnOffsetTheSumIsTheConvolution) {
  // As a new network of Keras has it: beta and mean are 0.
  GraphDef graph = Convolution(false);
  AddConst(graph, "zeros", {2}, {0, 0});
  AddNode(graph, "scaled", "Mul", {"conv", "vector"});
  AddNode(graph, "shift", "Mul", {"zeros", "vector"});
  AddNode(graph, "offset", "Sub", {"zeros", "shift"});
  AddNode(graph, "y", "AddV2", {"scaled", "offset"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_batch_norm", graph));
  EXPECT_EQ(FindNode(result, "y")->op(), "Conv2D");
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("x", "conv_weights"));
  EXPECT_THAT(ConstFloats(result, "conv_weights"), ElementsAre(2, 8, 6, -16));
  EXPECT_EQ(result.node_size(), 3);
}

TEST(FoldMulAdd, AChain) {
  GraphDef graph = Convolution(true);
  AddNode(graph, "a", "Mul", {"biased", "vector"});
  AddNode(graph, "b", "Sub", {"a", "number"});
  AddNode(graph, "y", "RealDiv", {"b", "number"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_mul_add", graph));
  EXPECT_EQ(result.node_size(), 5);
  EXPECT_THAT(ConstFloats(result, FindNode(result, "y")->input(1)), ElementsAre(9, -201));
}

TEST(FoldMulAdd, LeavesWhatWouldChange) {
  const auto expect_left = [](const GraphDef& graph, Strings outputs = {"y"}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_mul_add", graph, outputs));
    EXPECT_EQ(FindNode(result, "y")->op(), FindNode(graph, "y")->op());
    EXPECT_THAT(FindNode(result, "y")->input(0), FindNode(graph, "y")->input(0));
  };
  GraphDef scaled = Convolution(true);
  AddNode(scaled, "y", "Mul", {"biased", "vector"});
  expect_left(scaled, {"y", "biased"});
  expect_left(scaled, {"y", "conv"});
  GraphDef graph = scaled;  // a second reader
  AddNode(graph, "z", "Relu", {"biased"});
  expect_left(graph, {"y", "z"});
  graph = scaled;  // somebody waits for it
  AddNode(graph, "z", "Relu", {"x", "^biased"});
  expect_left(graph, {"y", "z"});
  graph = scaled;  // it waits for somebody
  graph.mutable_node(4)->add_input("^x");
  expect_left(graph);
  graph = scaled;  // channels are not last
  SetString(*graph.mutable_node(2), "data_format", "NCHW");
  SetString(*graph.mutable_node(4), "data_format", "NCHW");
  expect_left(graph);
  graph = scaled;  // not constant
  graph.mutable_node(6)->set_op("Placeholder");
  expect_left(graph);
  graph = scaled;  // not by channel: one value for each column
  SetTensor(*graph.mutable_node(6), "value", Floats({2, 1}, {1, 2}));
  expect_left(graph);
  graph = scaled;  // another type
  for (auto& node : *graph.mutable_node()) {
    for (const char* attr : {"T", "dtype"}) {
      if (node.attr().contains(attr)) SetType(node, attr, DType::kFloat64);
    }
    if (node.op() == "Const") SetTensor(node, "value", Tensor(DType::kFloat64, {2}));
  }
  SetTensor(*graph.mutable_node(1), "value", Tensor(DType::kFloat64, {1, 1, 2, 2}));
  expect_left(graph);
  graph = Convolution(true);  // constant / x is no multiplication
  AddNode(graph, "y", "RealDiv", {"number", "biased"});
  expect_left(graph);
  graph = Convolution(true);  // no finite scale
  SetTensor(*graph.mutable_node(5), "value", Floats({}, {0}));
  AddNode(graph, "y", "RealDiv", {"biased", "number"});
  expect_left(graph);
  graph = Convolution(false);  // nothing to be gained
  AddNode(graph, "y", "AddV2", {"conv", "vector"});
  expect_left(graph);
}

TEST(FoldMulAdd, NumbersInAnyLayout) {
  GraphDef graph = Convolution(true);
  SetString(*graph.mutable_node(2), "data_format", "NCHW");
  SetString(*graph.mutable_node(4), "data_format", "NCHW");
  AddNode(graph, "y", "Mul", {"biased", "number"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_mul_add", graph));
  EXPECT_EQ(FindNode(result, "y")->attr().at("data_format").s(), "NCHW");
  EXPECT_THAT(ConstFloats(result, "conv_bn_offset"), ElementsAre(20, 200));
}

// x -> scaled -> y, a convolution of two channels.
GraphDef ScaledInput(const std::string& op, const std::string& scale,
                     const std::string& convolution = "Conv2D") {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "number", {}, {2});
  AddConst(graph, "vector", {2}, {2, -4});
  AddNode(graph, "scaled", op, {"x", scale});
  AddConst(graph, "w", {1, 1, 2, 2}, {1, -2, 3, 4});
  AddNode(graph, "y", convolution, {"scaled", "w"});
  return graph;
}

TEST(FoldInputScale, IntoTheWeights) {
  for (const char* convolution : {"Conv2D", "DepthwiseConv2dNative"}) {
    ASSERT_OK_AND_ASSIGN(
        GraphDef result,
        RunPass("fold_input_scale", ScaledInput("Mul", "vector", convolution)));
    EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("x", "y_weights"));
    EXPECT_THAT(ConstFloats(result, "y_weights"), ElementsAre(2, -4, -12, -16));
  }
  ASSERT_OK_AND_ASSIGN(GraphDef result,
                       RunPass("fold_input_scale", ScaledInput("RealDiv", "number")));
  EXPECT_THAT(ConstFloats(result, "y_weights"), ElementsAre(0.5, -1, 1.5, 2));
  EXPECT_EQ(result.node_size(), 3);
}

TEST(FoldInputScale, LeavesWhatWouldChange) {
  const auto expect_left = [](const GraphDef& graph, Strings outputs = {"y"}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("fold_input_scale", graph, outputs));
    EXPECT_EQ(FindNode(result, "y")->input(0), "scaled");
  };
  expect_left(ScaledInput("AddV2", "vector"));
  expect_left(ScaledInput("Mul", "vector"), {"y", "scaled"});
  GraphDef graph = ScaledInput("Mul", "vector");
  AddNode(graph, "z", "Conv2D", {"scaled", "w"});
  expect_left(graph, {"y", "z"});
  graph = ScaledInput("Mul", "vector");
  SetString(*graph.mutable_node(5), "data_format", "NCHW");
  expect_left(graph);
  graph = ScaledInput("Mul", "vector");
  graph.mutable_node(3)->add_input("^number");
  expect_left(graph);
  graph = ScaledInput("Mul", "vector");
  graph.mutable_node(4)->set_op("Placeholder");
  expect_left(graph);
  graph = ScaledInput("RealDiv", "number");
  SetTensor(*graph.mutable_node(1), "value", Floats({}, {0}));
  expect_left(graph);
  graph = ScaledInput("RealDiv", "number");
  graph.mutable_node(3)->mutable_input()->SwapElements(0, 1);
  expect_left(graph);
}

// x -> resize -> pad -> y, one image.
GraphDef ResizePad() {
  GraphDef graph;
  SetShape(AddNode(graph, "x", "Placeholder"), "shape", {1, 5, 5, 2});
  AddInts(graph, "size", {2}, {9, 9});
  NodeDef& resize = AddNode(graph, "resize", "ResizeBilinear", {"x", "size"});
  SetBool(resize, "align_corners", true);
  AddInts(graph, "paddings", {4, 2}, {0, 0, 1, 2, 3, 4, 0, 0});
  SetString(AddNode(graph, "pad", "MirrorPad", {"resize", "paddings"}), "mode",
            "SYMMETRIC");
  AddConst(graph, "w", {1, 1, 2, 2}, {1, -2, 3, 4});
  NodeDef& conv = AddNode(graph, "y", "Conv2D", {"pad", "w"});
  SetString(conv, "padding", "VALID");
  SetInts(conv, "strides", std::vector<int64_t>{1, 2, 2, 1});
  return graph;
}

TEST(FuseResizeAndConv, AllThree) {
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       RunPass("fuse_resize_and_conv", ResizePad()));
  const NodeDef& y = *FindNode(result, "y");
  EXPECT_EQ(y.op(), "FusedResizeAndPadConv2D");
  EXPECT_THAT(y.input(), ElementsAre("x", "size", "paddings", "w"));
  EXPECT_TRUE(y.attr().at("resize_align_corners").b());
  EXPECT_EQ(y.attr().at("mode").s(), "SYMMETRIC");
  EXPECT_EQ(y.attr().at("padding").s(), "VALID");
  EXPECT_EQ(y.attr().at("strides").list().i(1), 2);
  EXPECT_EQ(result.node_size(), 5);
}

TEST(FuseResizeAndConv, TwoOfThem) {
  GraphDef graph = ResizePad();
  graph.mutable_node(4)->set_input(0, "x");
  ASSERT_OK_AND_ASSIGN(GraphDef result, RunPass("fuse_resize_and_conv", graph));
  EXPECT_EQ(FindNode(result, "y")->op(), "FusedPadConv2D");
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("x", "paddings", "w"));

  graph = ResizePad();
  graph.mutable_node(6)->set_input(0, "resize");
  graph.mutable_node(4)->set_input(0, "x");  // else it reads the resize, too
  ASSERT_OK_AND_ASSIGN(result, RunPass("fuse_resize_and_conv", graph));
  EXPECT_EQ(FindNode(result, "y")->op(), "FusedResizeAndPadConv2D");
  EXPECT_THAT(FindNode(result, "y")->input(),
              ElementsAre("x", "size", "y_dummy_paddings", "w"));
}

TEST(FuseResizeAndConv, BehindOneImageOfAFile) {
  GraphDef graph = ResizePad();
  AddNode(graph, "image", "DecodeJpeg");
  AddInts(graph, "axis", {}, {0});
  AddNode(graph, "batch", "ExpandDims", {"image", "axis"});
  AddNode(graph, "relu", "Relu", {"batch"});
  graph.mutable_node(2)->set_input(0, "relu");
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fuse_resize_and_conv", graph));
  EXPECT_EQ(FindNode(result, "y")->op(), "FusedResizeAndPadConv2D");
}

TEST(FuseResizeAndConv, LeavesWhatItCannotSay) {
  const auto expect_left = [](const GraphDef& graph, Strings outputs = {"y"}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("fuse_resize_and_conv", graph, outputs));
    EXPECT_EQ(FindNode(result, "y")->op(), "Conv2D");
  };
  const auto change = [](int node, auto edit) {
    GraphDef graph = ResizePad();
    edit(*graph.mutable_node(node));
    return graph;
  };
  // Several images, or nobody knows.
  expect_left(change(0, [](NodeDef& n) { SetShape(n, "shape", {2, 5, 5, 2}); }));
  expect_left(change(0, [](NodeDef& n) { SetShape(n, "shape", {-1, 5, 5, 2}); }));
  expect_left(change(0, [](NodeDef& n) { n.mutable_attr()->erase("shape"); }));
  // Borders of channels; paddings that nobody knows.
  expect_left(change(3, [](NodeDef& n) {
    SetTensor(n, "value",
              Tensor::Of<int32_t>({4, 2}, std::vector{0, 0, 1, 1, 1, 1, 0, 1}));
  }));
  expect_left(change(3, [](NodeDef& n) { n.set_op("Placeholder"); }));
  expect_left(change(4, [](NodeDef& n) { n.set_op("Pad"); }));
  expect_left(change(6, [](NodeDef& n) {
    SetInts(n, "dilations", std::vector<int64_t>{1, 2, 2, 1});
  }));
  expect_left(change(6, [](NodeDef& n) { SetString(n, "data_format", "NCHW"); }));
  expect_left(change(6, [](NodeDef& n) { SetString(n, "padding", "EXPLICIT"); }));
  expect_left(ResizePad(), {"y", "pad"});
  GraphDef graph = ResizePad();
  AddNode(graph, "z", "Relu", {"pad"});
  expect_left(graph, {"y", "z"});
  // The pad alone is fused then.
  for (const GraphDef& resized :
       {change(2, [](NodeDef& n) { SetBool(n, "half_pixel_centers", true); }),
        change(2, [](NodeDef& n) { n.add_input("^x"); })}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fuse_resize_and_conv", resized));
    EXPECT_EQ(FindNode(result, "y")->op(), "FusedPadConv2D");
    EXPECT_THAT(FindNode(result, "y")->input(0), "resize");
  }
}

TEST(FuseResizeAndConv, NotForTensorFlowLite) {
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       OptimizeForInference(ResizePad(), {.output_names = {"y"},
                                                          .toco_compatible = true}));
  EXPECT_EQ(FindNode(result, "y")->op(), "Conv2D");
}

}  // namespace
}  // namespace oriel::graph
