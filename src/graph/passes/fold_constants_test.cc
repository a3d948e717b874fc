#include <gmock/gmock.h>

#include "graph/passes/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using ::testing::ElementsAre;

// Knows three operations: Relu, which does not change what is not negative, Split into
// two, and Fill, a value as often as another one says.
std::optional<std::vector<Tensor>> Evaluate(const NodeDef& node,
                                            std::span<const Tensor> inputs,
                                            uint64_t max_bytes) {
  if (node.op() == "Relu") return std::vector{inputs[0]};
  if (node.op() == "Split") {
    const auto values = inputs[1].data<float>();
    return std::vector{Floats({1}, {values[0]}), Floats({1}, {values[1]})};
  }
  if (node.op() == "Fill") {
    const int64_t count = inputs[0].data<int32_t>()[0];
    if (count * sizeof(float) > max_bytes) return std::nullopt;
    return std::vector{Tensor(DType::kFloat32, {count})};
  }
  return std::nullopt;
}

TEST(FoldConstants, AChainWithSeveralOutputs) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "c", {2}, {3, 4});
  AddInts(graph, "axis", {}, {0});
  AddNode(graph, "relu", "Relu", {"c"});
  SetInt(AddNode(graph, "split", "Split", {"axis", "relu"}), "num_split", 2);
  AddNode(graph, "split/output_1", "Relu", {"x"});  // a name that is taken
  AddNode(graph, "y", "Pack", {"split", "x", "split:1", "split/output_1"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       RunPass("fold_constants", graph, {"y"}, Evaluate));
  EXPECT_THAT(FindNode(result, "y")->input(),
              ElementsAre("split", "x", "split/output_1_1", "split/output_1"));
  EXPECT_THAT(ConstFloats(result, "split"), ElementsAre(3));
  EXPECT_THAT(ConstFloats(result, "split/output_1_1"), ElementsAre(4));
  EXPECT_EQ(FindNode(result, "relu"), nullptr);
}

TEST(FoldConstants, AnOutputKeepsItsName) {
  GraphDef graph;
  AddConst(graph, "c", {1}, {3});
  AddNode(graph, "y", "Relu", {"c"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       RunPass("fold_constants", graph, {"y"}, Evaluate));
  EXPECT_THAT(NodeNames(result), ElementsAre("y"));
  EXPECT_THAT(ConstFloats(result, "y"), ElementsAre(3));
}

TEST(FoldConstants, LeavesWhatIsNotConstant) {
  const auto expect_left = [](const GraphDef& graph, const ConstantEvaluator& evaluate) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("fold_constants", graph, {"y"}, evaluate));
    EXPECT_EQ(FindNode(result, "y")->op(), FindNode(graph, "y")->op());
  };
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "c", {1}, {3});
  AddNode(graph, "y", "Relu", {"c"});
  expect_left(graph, nullptr);
  GraphDef other = graph;  // control inputs: a constant of a branch
  other.mutable_node(2)->add_input("^x");
  expect_left(other, Evaluate);
  other = graph;
  other.mutable_node(1)->add_input("^x");
  expect_left(other, Evaluate);
  // Chance, and a default that somebody may replace.
  const auto anything = [](const NodeDef&, std::span<const Tensor> inputs, uint64_t) {
    return std::optional(std::vector{inputs[0]});
  };
  for (const char* op : {"RandomUniform", "PlaceholderWithDefault", "Print"}) {
    other = graph;
    other.mutable_node(2)->set_op(op);
    if (other.node(2).op() == "PlaceholderWithDefault") {
      SetType(*other.mutable_node(2), "dtype", DType::kFloat32);
    }
    expect_left(other, anything);
  }
}

TEST(FoldConstants, LeavesWhatGrows) {
  for (const bool grows : {false, true}) {
    GraphDef graph;
    AddInts(graph, "count", {1}, {grows ? 20000 : 10000});
    AddConst(graph, "value", {}, {0});
    AddNode(graph, "y", "Fill", {"count", "value"});
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("fold_constants", graph, {"y"}, Evaluate));
    EXPECT_EQ(FindNode(result, "y")->op(), grows ? "Fill" : "Const");
  }
}

TEST(FoldConstants, LeavesScalesToThoseWhoComputeInDouble) {
  GraphDef graph;
  AddConst(graph, "a", {2}, {1, 2});
  AddNode(graph, "y", "Mul", {"a", "a"});
  const auto product = [](const NodeDef&, std::span<const Tensor>, uint64_t) {
    return std::optional(std::vector{Floats({2}, {1, 4})});
  };
  ASSERT_OK_AND_ASSIGN(GraphDef result, RunPass("fold_constants", graph, {"y"}, product));
  EXPECT_EQ(FindNode(result, "y")->op(), "Mul");
  ASSERT_OK_AND_ASSIGN(result,
                       RunPass("fold_remaining_constants", graph, {"y"}, product));
  EXPECT_THAT(ConstFloats(result, "y"), ElementsAre(1, 4));
}

}  // namespace
}  // namespace oriel::graph
