#include "engine/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "engine/describe.h"
#include "engine/testing/graph_builder.h"

namespace oriel::engine {
namespace {

using testing::GraphBuilder;
using ::testing::HasSubstr;

// y = relu(x * w + b), two results of Split, p = their product.
tensorflow::GraphDef Network(float w, float b) {
  GraphBuilder builder;
  builder.Placeholder("x", Shape{-1, 2});
  builder.Const("w", Tensor::Of<float>(Shape{2}, std::vector<float>{w, 2}));
  builder.Const("b", Tensor::Of<float>(Shape{2}, std::vector<float>{b, 0}));
  for (const auto& [name, op, inputs] :
       std::vector<std::tuple<const char*, const char*, std::vector<std::string>>>{
           {"m", "Mul", {"x", "w"}}, {"s", "AddV2", {"m", "b"}}, {"y", "Relu", {"s"}}}) {
    auto& node = builder.Add(name, op, {});
    for (const auto& input : inputs) node.add_input(input);
    graph::SetType(node, "T", DType::kFloat32);
  }
  return builder.graph();
}

DiffOptions Options(std::vector<std::string> outputs) {
  DiffOptions options;
  options.inputs = {{"x", Tensor::Of<float>(Shape{1, 2}, std::vector<float>{1, -3})}};
  options.outputs = std::move(outputs);
  return options;
}

TEST(CompareValues, FindsTheFirstNodeThatDiffers) {
  const auto result = CompareValues(Network(1, 0.5f), Network(1, 0.75f), Options({"y"}));
  ASSERT_OK(result.status());
  ASSERT_EQ(result->values.size(), 3);
  EXPECT_EQ(result->values[0].name, "m");
  EXPECT_TRUE(result->values[0].difference.within_tolerance());
  EXPECT_EQ(result->values[1].name, "s");
  EXPECT_EQ(result->values[1].op_a, "AddV2");
  EXPECT_EQ(result->values[1].difference.largest, 0.25);
  EXPECT_EQ(result->values[1].difference.a, 1.5);
  EXPECT_EQ(result->values[1].difference.position, 0);
  ASSERT_EQ(result->outputs.size(), 1);
  EXPECT_EQ(result->outputs[0].name, "y");
  EXPECT_EQ(result->outputs[0].difference.largest, 0.25);
}

TEST(CompareValues, LooksAtWhatBothGraphsHave) {
  auto b = Network(1, 0.5f);
  b.mutable_node(4)->set_name("other");      // s
  b.mutable_node(5)->set_input(0, "other");  // y
  const auto result = CompareValues(Network(1, 0.5f), b, Options({"y"}));
  ASSERT_OK(result.status());
  ASSERT_EQ(result->values.size(), 2);
  EXPECT_EQ(result->values[0].name, "m");
  EXPECT_EQ(result->values[1].name, "y");
  EXPECT_TRUE(result->outputs[0].difference.within_tolerance());
}

TEST(CompareValues, StopsAtWhatIsFed) {
  auto options = Options({"y"});
  options.inputs[0].first = "m";
  const auto result = CompareValues(Network(1, 0.5f), Network(7, 0.5f), options);
  ASSERT_OK(result.status());
  ASSERT_EQ(result->values.size(), 2);
  EXPECT_TRUE(result->outputs[0].difference.within_tolerance());
}

TEST(CompareValues, SaysWhichGraphIsWrong) {
  const auto a = Network(1, 0.5f);
  auto b = a;
  b.mutable_node(5)->set_op("Perceive");
  EXPECT_THAT(
      std::string(Message(CompareValues(a, b, Options({"y"})).status())),
      HasSubstr("second graph: the engine does not support: Perceive (node 'y')"));
  EXPECT_THAT(std::string(Message(CompareValues(a, a, Options({"z"})).status())),
              HasSubstr("first graph: output 'z' is not in the graph"));
  b.mutable_node(0)->set_name("image");
  b.mutable_node(3)->set_input(0, "image");
  EXPECT_THAT(std::string(Message(CompareValues(a, b, Options({"y"})).status())),
              HasSubstr("second graph: input 'x' is not in the graph"));
}

TEST(CompareValues, EndsWhenToldTo) {
  auto options = Options({"y"});
  int calls = 0;
  options.on_progress = [&](int done, int total) {
    ++calls;
    EXPECT_LT(done, total);
    return done == 1 ? Cancelled("enough") : absl::OkStatus();
  };
  const auto a = Network(1, 0.5f);
  EXPECT_EQ(CompareValues(a, a, options).status(), Cancelled("enough"));
  EXPECT_EQ(calls, 2);
}

TEST(DescribeGraph, CountsParametersAndMultiplyAdds) {
  GraphBuilder builder;
  builder.Placeholder("x", Shape{2, 8, 8, 3});
  builder.Const("filter", Tensor(DType::kFloat32, Shape{3, 3, 3, 5}));
  builder.Const("bias", Tensor(DType::kFloat32, Shape{5}));
  auto& conv = builder.Add("conv", "Conv2D", {"x", "filter"});
  graph::SetType(conv, "T", DType::kFloat32);
  graph::SetString(conv, "padding", "VALID");
  graph::SetInts(conv, "strides", std::vector<int64_t>{1, 2, 2, 1});
  for (const char* name : {"one", "two"}) {
    auto& add = builder.Add(name, "BiasAdd", {"conv", "bias"});
    graph::SetType(add, "T", DType::kFloat32);
  }
  PlanOptions options;
  options.outputs = {"one", "two"};
  const auto nodes = DescribeGraph(builder.graph(), options);
  ASSERT_OK(nodes.status());
  ASSERT_EQ(nodes->size(), 3);
  const NodeDescription& first = (*nodes)[0];
  EXPECT_EQ(first.name, "conv");
  EXPECT_EQ(first.op, "Conv2D");
  EXPECT_EQ(first.outputs, (std::vector<Shape>{{2, 3, 3, 5}}));
  EXPECT_EQ(first.parameters, 135);
  EXPECT_EQ(first.multiply_adds, 2 * 3 * 3 * 5 * 27);
  EXPECT_EQ((*nodes)[1].parameters, 5);
  EXPECT_EQ((*nodes)[2].parameters, 0);  // the same bias again
  // A variable is fed, and still a parameter.
  options.inputs = {{"filter", Shape{3, 3, 3, 5}}};
  auto unfrozen = builder.graph();
  unfrozen.mutable_node(1)->set_op("VariableV2");
  const auto again = DescribeGraph(unfrozen, options);
  ASSERT_OK(again.status());
  EXPECT_EQ((*again)[0].parameters, 135);
}

}  // namespace
}  // namespace oriel::engine
