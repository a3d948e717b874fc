#include "graph/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/dot.h"
#include "graph/ends.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

tensorflow::GraphDef Network() {
  tensorflow::GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "w", {2, 1}, {1, 2});
  AddNode(graph, "y", "MatMul", {"x", "w"});
  AddNode(graph, "z", "Relu", {"y:0", "^x"});
  return graph;
}

std::vector<std::string> Changes(const tensorflow::GraphDef& a,
                                 const tensorflow::GraphDef& b) {
  std::vector<std::string> lines;
  for (const auto& [node, what] : CompareGraphs(a, b, {}).changed) {
    lines.push_back(node + ": " + what);
  }
  return lines;
}

TEST(CompareGraphs, WaysToWriteTheSameAreTheSame) {
  const auto a = Network();
  auto b = a;
  b.mutable_node()->SwapElements(0, 3);
  auto* w = b.mutable_node(1);
  auto* tensor = (*w->mutable_attr())["value"].mutable_tensor();
  tensor->clear_tensor_content();
  tensor->add_float_val(1);
  tensor->add_float_val(2);
  b.mutable_node(0)->set_input(0, "y");
  b.mutable_node(0)->set_device("/cpu:0");
  SetString(*b.mutable_node(0), "_hint", "fast");
  const auto d = CompareGraphs(a, b, {});
  EXPECT_THAT(d.changed, IsEmpty());
  EXPECT_THAT(d.only_a, IsEmpty());
  EXPECT_THAT(d.only_b, IsEmpty());
  EXPECT_EQ(d.in_both, 4);
}

TEST(CompareGraphs, NamesWhatDiffers) {
  const auto a = Network();
  auto b = a;
  b.mutable_node(3)->set_op("Relu6");
  EXPECT_THAT(Changes(a, b), ElementsAre("z: op Relu, Relu6"));
  b = a;
  b.mutable_node(3)->set_input(0, "y:1");
  EXPECT_THAT(Changes(a, b), ElementsAre("z: input 0 y, y:1"));
  b = a;
  b.mutable_node(3)->mutable_input()->RemoveLast();
  EXPECT_THAT(Changes(a, b), ElementsAre("z: 2 inputs, 1"));
  b = a;
  SetBool(*b.mutable_node(2), "transpose_a", true);
  EXPECT_THAT(Changes(a, b), ElementsAre("y: attr transpose_a missing, b: true"));
  b = a;
  SetTensor(*b.mutable_node(1), "value", Floats({2, 1}, {1, 2.5}));
  EXPECT_THAT(Changes(a, b),
              ElementsAre("w: value differs by 0.5 at most, 1 of 2 elements"));
  SetTensor(*b.mutable_node(1), "value", Floats({2}, {1, 2}));
  EXPECT_THAT(Changes(a, b), ElementsAre("w: value float32[2,1] and float32[2]"));
}

TEST(CompareGraphs, ConstantsWithinTheToleranceAreTheSame) {
  const auto a = Network();
  auto b = a;
  SetTensor(*b.mutable_node(1), "value", Floats({2, 1}, {1, 2.0001f}));
  EXPECT_THAT(Changes(a, b), IsEmpty());
  EXPECT_EQ(CompareGraphs(a, b, {0, 0}).changed.size(), 1);
}

TEST(CompareGraphs, ListsNodesOfOneGraphOnly) {
  const auto a = Network();
  auto b = a;
  b.mutable_node(2)->set_name("other");
  AddNode(b, "more", "NoOp");
  const auto d = CompareGraphs(a, b, {});
  EXPECT_THAT(d.only_a, ElementsAre("y"));
  EXPECT_THAT(d.only_b, ElementsAre("other", "more"));
  EXPECT_EQ(d.in_both, 3);
}

TEST(CompareGraphs, TakesNamesThatComeTwice) {
  auto a = Network();
  auto b = a;
  AddNode(b, "z", "Relu", {"y"});
  AddNode(a, "x", "Placeholder");
  const auto d = CompareGraphs(a, b, {});
  EXPECT_EQ(d.in_both, 4);
  EXPECT_THAT(d.only_a, ElementsAre("x"));
}

TEST(FindEnds, OutputsAreValuesThatFollowFromPlaceholders) {
  auto graph = Network();
  AddNode(graph, "init", "NoOp", {"^z"});
  AddConst(graph, "loose", {1}, {1});
  AddNode(graph, "of_constants", "Relu", {"loose"});
  AddNode(graph, "save", "SaveV2", {"z", "w"});
  AddNode(graph, "second", "Relu", {"y"});
  AddNode(graph, "third", "Relu", {"z"});
  const GraphEnds ends = FindEnds(graph);
  EXPECT_THAT(ends.inputs, ElementsAre("x"));
  EXPECT_THAT(ends.outputs, ElementsAre("second", "third"));
}

TEST(FindEnds, WithoutPlaceholdersAllValuesCount) {
  tensorflow::GraphDef graph;
  AddConst(graph, "c", {1}, {1});
  AddNode(graph, "r", "Relu", {"c"});
  EXPECT_THAT(FindEnds(graph).outputs, ElementsAre("r"));
}

TEST(FindEnds, PlaceholdersThatNobodyReads) {
  tensorflow::GraphDef graph;
  AddNode(graph, "left", "Placeholder");
  AddNode(graph, "over", "Placeholder");
  EXPECT_THAT(FindEnds(graph).inputs, ElementsAre("left", "over"));
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "y", "Relu", {"x"});
  EXPECT_THAT(FindEnds(graph).inputs, ElementsAre("x"));
}

TEST(FormatDot, DrawsNodesAndEdges) {
  auto graph = Network();
  AddNode(graph, "quo\"te\\", "Identity", {"y:1", "missing"});
  const std::string dot = FormatDot(
      graph, {.note = [](const auto& node) { return node.op() == "Relu" ? "[1]" : ""; }});
  EXPECT_THAT(dot, HasSubstr("\"x\" [label=\"x\\nPlaceholder\""));
  EXPECT_THAT(dot, HasSubstr("\"z\" [label=\"z\\nRelu\\n[1]\""));
  EXPECT_THAT(dot, HasSubstr("\"y\" -> \"z\"\n"));
  EXPECT_THAT(dot, HasSubstr("\"x\" -> \"z\" [style=dashed]\n"));
  EXPECT_THAT(dot, HasSubstr("\"y\" -> \"quo\\\"te\\\\\" [taillabel=\"1\"]\n"));
  EXPECT_THAT(dot, Not(HasSubstr("missing")));
  EXPECT_THAT(dot, Not(HasSubstr("\"w\"")));
  EXPECT_THAT(FormatDot(graph, {.constants = true}), HasSubstr("\"w\" -> \"y\""));
}

}  // namespace
}  // namespace oriel::graph
