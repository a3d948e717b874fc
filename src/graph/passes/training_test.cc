// What a graph keeps from training: branches, dropout, control inputs, identities.

#include <gmock/gmock.h>

#include "graph/passes/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using ::testing::ElementsAre;

// y = Merge(Neg(x), Relu(x)) of a branch by `predicate`, as tf.cond makes it.
GraphDef Branch(const std::string& predicate) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddBool(graph, "yes", true);
  AddBool(graph, "no", false);
  AddNode(graph, "fed", "Placeholder");
  SetType(*graph.mutable_node(3), "dtype", DType::kBool);
  AddNode(graph, "id", "Identity", {predicate});
  SetType(*graph.mutable_node(4), "T", DType::kBool);
  AddNode(graph, "switch", "Switch", {"x", "id"});
  AddNode(graph, "when_no", "Neg", {"switch"});
  AddNode(graph, "when_yes", "Relu", {"switch:1"});
  NodeDef& merge = AddNode(graph, "merge", "Merge", {"when_no", "when_yes"});
  SetInt(merge, "N", 2);
  AddNode(graph, "y", "Relu6", {"merge"});
  return graph;
}

TEST(FoldBranches, TakesTheSideThatRuns) {
  for (const bool value : {false, true}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("fold_branches", Branch(value ? "yes" : "no")));
    const char* const side = value ? "when_yes" : "when_no";
    EXPECT_THAT(NodeNames(result), ElementsAre("x", side, "y"));
    EXPECT_THAT(FindNode(result, side)->input(), ElementsAre("x"));
    EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre(side));
  }
}

TEST(FoldBranches, ByLogic) {
  GraphDef graph = Branch("or");
  AddNode(graph, "not", "LogicalNot", {"yes"});
  AddNode(graph, "and", "LogicalAnd", {"yes", "no"});
  AddNode(graph, "or", "LogicalOr", {"not", "and"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_branches", graph));
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("when_no"));
}

TEST(FoldBranches, InsideABranch) {
  // The inner predicate goes through the outer Switch, as tf.cond has it.
  GraphDef graph = Branch("yes");
  AddNode(graph, "inner_pred", "Switch", {"no", "id"});
  AddNode(graph, "inner", "Switch", {"when_yes", "inner_pred:1"});
  AddNode(graph, "a", "Neg", {"inner"});
  AddNode(graph, "b", "Relu", {"inner:1"});
  SetInt(AddNode(graph, "inner_merge", "Merge", {"b", "a"}), "N", 2);
  graph.mutable_node(8)->set_input(1, "inner_merge");
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_branches", graph));
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("a"));
  EXPECT_THAT(FindNode(result, "a")->input(), ElementsAre("when_yes"));
  EXPECT_EQ(FindNode(result, "b"), nullptr);
}

TEST(FoldBranches, AnIfBecomesACall) {
  for (const char* predicate : {"yes", "no", "fed"}) {
    GraphDef graph = Branch("fed");
    NodeDef& node = AddNode(graph, "if", "StatelessIf", {predicate, "x", "fed", "^no"});
    for (const char* side : {"then_branch", "else_branch"}) {
      (*node.mutable_attr())[side].mutable_func()->set_name(std::string("of_") + side);
    }
    SetString(node, "Tin", "types");
    AddNode(graph, "out", "Relu", {"if:1"});
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_branches", graph, {"out"}));
    const NodeDef& call = *FindNode(result, "if");
    if (std::string(predicate) == "fed") {
      EXPECT_EQ(call.op(), "StatelessIf");
      continue;
    }
    EXPECT_EQ(call.op(), "PartitionedCall");
    EXPECT_THAT(call.input(), ElementsAre("x", "fed", "^no"));
    EXPECT_EQ(call.attr().at("f").func().name(),
              std::string(predicate) == "yes" ? "of_then_branch" : "of_else_branch");
    EXPECT_EQ(call.attr().at("Tin").s(), "types");
    EXPECT_EQ(call.attr().size(), 2);
  }
}

TEST(FoldBranches, AMergeThatIsAnOutputKeepsItsName) {
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       RunPass("fold_branches", Branch("yes"), {"merge"}));
  EXPECT_EQ(FindNode(result, "merge")->op(), "Identity");
  EXPECT_THAT(FindNode(result, "merge")->input(), ElementsAre("when_yes"));
}

TEST(FoldBranches, LeavesWhatItCannotKnow) {
  const auto expect_left = [](const GraphDef& graph,
                              std::vector<std::string> outputs = {"y"}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("fold_branches", graph, outputs));
    EXPECT_EQ(FindNode(result, "merge")->op(), "Merge");
    EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("merge"));
  };
  expect_left(Branch("fed"));
  // Which input came is read.
  GraphDef graph = Branch("yes");
  AddNode(graph, "index", "Cast", {"merge:1"});
  expect_left(graph, {"y", "index"});
  // A control input of the Switch.
  graph = Branch("yes");
  graph.mutable_node(5)->add_input("^fed");
  expect_left(graph);
  // Both sides of the Merge may come.
  graph = Branch("yes");
  graph.mutable_node(8)->set_input(0, "x");
  expect_left(graph);
  // A loop: its Merge has one input from outside, its Switch a predicate of its own.
  graph = GraphDef();
  AddNode(graph, "x", "Placeholder");
  AddBool(graph, "yes", true);
  AddNode(graph, "enter", "Enter", {"x"});
  SetInt(AddNode(graph, "merge", "Merge", {"enter", "next"}), "N", 2);
  AddNode(graph, "less", "Less", {"merge", "merge"});
  AddNode(graph, "go", "LoopCond", {"less"});
  AddNode(graph, "switch", "Switch", {"merge", "go"});
  AddNode(graph, "next", "NextIteration", {"switch:1"});
  AddNode(graph, "exit", "Exit", {"switch"});
  AddNode(graph, "y", "Relu", {"merge"});
  expect_left(graph, {"y", "exit"});
}

// y = dropout of x as TensorFlow 2 writes it, `op` the last node's.
GraphDef Dropout(const std::string& op, float rate, float scale) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "rate", {}, {rate});
  AddConst(graph, "scale", {}, {scale});
  AddConst(graph, "zero", {}, {0});
  AddNode(graph, "scaled", "Mul", {"x", "scale"});
  AddNode(graph, "shape", "Shape", {"x"});
  AddNode(graph, "random", "RandomUniform", {"shape"});
  AddNode(graph, "kept", "GreaterEqual", {"random", "rate"});
  if (op == "SelectV2") {
    AddNode(graph, "y", op, {"kept", "scaled", "zero"});
  } else {
    AddNode(graph, "mask", "Cast", {"kept"});
    AddNode(graph, "y", op, {"scaled", "mask"});
  }
  return graph;
}

TEST(RemoveDropout, AsTensorFlow2WritesIt) {
  for (const char* op : {"Mul", "SelectV2"}) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result,
                         RunPass("remove_dropout", Dropout(op, 0.2f, 1.25f)));
    EXPECT_THAT(NodeNames(result), ElementsAre("x", "y"));
    EXPECT_EQ(FindNode(result, "y")->op(), "Identity");
  }
}

TEST(RemoveDropout, AsTensorFlow1WritesIt) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "keep", {}, {0.8f});
  AddConst(graph, "min", {}, {0});
  AddConst(graph, "max", {}, {1});
  AddNode(graph, "sub", "Sub", {"max", "min"});
  AddNode(graph, "shape", "Shape", {"x"});
  AddNode(graph, "uniform", "RandomUniform", {"shape"});
  AddNode(graph, "mul", "Mul", {"uniform", "sub"});
  AddNode(graph, "random", "Add", {"mul", "min"});
  AddNode(graph, "sum", "Add", {"keep", "random"});
  AddNode(graph, "floor", "Floor", {"sum"});
  AddNode(graph, "div", "RealDiv", {"x", "keep"});
  AddNode(graph, "y", "Mul", {"div", "floor"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("remove_dropout", graph));
  EXPECT_THAT(NodeNames(result), ElementsAre("x", "y"));
  // Uniform between 1 and 2 is another thing.
  SetTensor(*graph.mutable_node(3), "value", Floats({}, {2}));
  ASSERT_OK_AND_ASSIGN(const GraphDef kept, RunPass("remove_dropout", graph));
  EXPECT_EQ(FindNode(kept, "y")->op(), "Mul");
}

TEST(RemoveDropout, LeavesOtherNoise) {
  const auto expect_left = [](const GraphDef& graph) {
    ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("remove_dropout", graph));
    EXPECT_NE(FindNode(result, "y")->op(), "Identity");
  };
  expect_left(Dropout("Mul", 0.5f, 1.25f));  // the scale does not make up for the rate
  expect_left(Dropout("Mul", 1, 1));
  GraphDef graph = Dropout("SelectV2", 0.2f, 1.25f);
  SetTensor(*graph.mutable_node(3), "value", Floats({}, {1}));  // ones, not zeros
  expect_left(graph);
  graph = Dropout("Mul", 0.2f, 1.25f);
  graph.mutable_node(6)->set_op("RandomStandardNormal");
  expect_left(graph);
  graph = Dropout("Mul", 0.2f, 1.25f);  // a rate that is fed
  graph.mutable_node(1)->set_op("Placeholder");
  expect_left(graph);
}

TEST(RemoveControlInputs, OfWhatOnlyComputes) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "relu", "Relu", {"x"});
  AddNode(graph, "group", "NoOp", {"^relu", "^x"});
  AddNode(graph, "y", "Neg", {"x", "^group", "^relu"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("remove_control_inputs", graph));
  EXPECT_THAT(NodeNames(result), ElementsAre("x", "y"));
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("x"));
}

TEST(RemoveControlInputs, KeepsWhatHasAnEffect) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "assert", "Assert", {"x", "x"});
  AddNode(graph, "behind", "Relu", {"x", "^assert"});
  AddNode(graph, "v", "VariableV2");
  AddNode(graph, "one", "NoOp", {"^assert"});
  AddNode(graph, "two", "NoOp", {"^one"});
  AddNode(graph, "y", "Neg", {"x", "^two", "^behind", "^v", "^one"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("remove_control_inputs", graph));
  EXPECT_THAT(FindNode(result, "y")->input(),
              ElementsAre("x", "^assert", "^behind", "^v"));
  EXPECT_THAT(FindNode(result, "behind")->input(), ElementsAre("x", "^assert"));
  EXPECT_EQ(FindNode(result, "two"), nullptr);
}

TEST(RemoveControlInputs, KeepsThoseOfBranches) {
  // A constant that waits for a side of a branch is dead when that side is.
  GraphDef graph = Branch("fed");
  AddNode(graph, "pivot", "Identity", {"switch:1"});
  AddConst(graph, "c", {}, {1}).add_input("^pivot");
  graph.mutable_node(8)->set_input(1, "c");
  ASSERT_OK_AND_ASSIGN(const GraphDef result, RunPass("remove_control_inputs", graph));
  EXPECT_THAT(FindNode(result, "c")->input(), ElementsAre("^pivot"));
}

TEST(RemoveTrainingNodes, IdentitiesOfSeveralAndCasts) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "relu", "Relu", {"x"});
  AddNode(graph, "both", "IdentityN", {"x", "relu"});
  NodeDef& same = AddNode(graph, "same", "Cast", {"both:1"});
  SetType(same, "SrcT", DType::kFloat32);
  SetType(same, "DstT", DType::kFloat32);
  NodeDef& other = AddNode(graph, "other", "Cast", {"both"});
  SetType(other, "SrcT", DType::kFloat32);
  SetType(other, "DstT", DType::kInt32);
  AddNode(graph, "pg", "PreventGradient", {"same"});
  AddNode(graph, "y", "Pack", {"pg", "both"});
  AddNode(graph, "z", "Abs", {"other"});
  ASSERT_OK_AND_ASSIGN(const GraphDef result,
                       RunPass("remove_training_nodes", graph, {"y", "z"}));
  EXPECT_THAT(FindNode(result, "y")->input(), ElementsAre("relu", "x"));
  EXPECT_THAT(FindNode(result, "other")->input(), ElementsAre("x"));
}

TEST(PlaceholderToConst, BoolsByPartsOfTheirNames) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  for (const char* name : {"a/keras_learning_phase", "my/train", "other"}) {
    SetType(AddNode(graph, name, "PlaceholderWithDefault", {"fed"}), "dtype",
            DType::kBool);
  }
  SetType(AddNode(graph, "fed", "Placeholder"), "dtype", DType::kBool);
  AddNode(graph, "train_float", "Placeholder");
  AddNode(graph, "y", "Pack", {"a/keras_learning_phase", "my/train", "other"});
  AddNode(graph, "z", "Relu", {"train_float"});
  std::vector<std::string> warnings;
  OptimizeOptions options{.output_names = {"y", "z"},
                          .placeholder_to_const = {" train =True", "nothing"},
                          .only = {"placeholder_to_const"}};
  options.warn = [&](const std::string& text) { warnings.push_back(text); };
  ASSERT_OK_AND_ASSIGN(const GraphDef result, OptimizeForInference(graph, options));
  const auto value = [&](const char* name) {
    return ConstValue(*FindNode(result, name))->data<bool>()[0];
  };
  EXPECT_FALSE(value("a/keras_learning_phase"));
  EXPECT_TRUE(value("my/train"));
  EXPECT_EQ(FindNode(result, "other")->op(), "PlaceholderWithDefault");
  EXPECT_EQ(FindNode(result, "train_float")->op(), "Placeholder");
  EXPECT_THAT(warnings, ElementsAre(::testing::HasSubstr("train_float")));
}

}  // namespace
}  // namespace oriel::graph
