#include "graph/graph_variables.h"

#include <gmock/gmock.h>

#include "base/testing.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void AddVariable(GraphDef& graph, const std::string& name, const Shape& shape,
                 const std::string& op = "VariableV2") {
  SetShape(AddNode(graph, name, op), "shape", shape);
}

void AddTensor(GraphDef& graph, const std::string& name, const Tensor& value) {
  NodeDef& node = AddNode(graph, name, "Const");
  SetType(node, "dtype", value.dtype());
  SetTensor(node, "value", value);
}

void AddStrings(GraphDef& graph, const std::string& name,
                const std::vector<std::string>& values) {
  Tensor tensor(DType::kString, {static_cast<int64_t>(values.size())});
  tensor.mutable_strings() = values;
  AddTensor(graph, name, tensor);
}

std::shared_ptr<const VariableSource> Checkpoint(std::map<std::string, Tensor> tensors) {
  return std::make_shared<MemoryVariables>(std::move(tensors));
}

// The float32 values of variable `name`, or the error's text.
using Values = std::variant<std::vector<float>, std::string>;
Values Read(const GraphVariables& variables, const std::string& name) {
  const auto value = variables.Read(name);
  if (!value.ok()) return std::string(Message(value.status()));
  return std::vector<float>(value->data<float>().begin(), value->data<float>().end());
}
Values Floats(std::vector<float> values) { return values; }

std::string Error(const absl::StatusOr<std::unique_ptr<const GraphVariables>>& made) {
  return std::string(Message(made.status()));
}

// Variables a, b (by reference) and c (a resource), and nothing that changes them.
GraphDef ThreeVariables() {
  GraphDef graph;
  AddVariable(graph, "a", {2});
  AddVariable(graph, "b", {2});
  AddVariable(graph, "c", {2}, "VarHandleOp");
  AddNode(graph, "c/read", "ReadVariableOp", {"c"});
  AddNode(graph, "b/read", "Identity", {"b"});
  AddConst(graph, "k", {2}, {7, 8});
  return graph;
}

const std::map<std::string, Tensor> kThree = {{"a", graph::Floats({2}, {1, 2})},
                                              {"b", graph::Floats({2}, {3, 4})},
                                              {"c", graph::Floats({2}, {5, 6})}};

TEST(GraphVariables, ByName) {
  GraphDef graph = ThreeVariables();
  SetString(*graph.mutable_node(2), "shared_name", "other");
  ASSERT_OK_AND_ASSIGN(
      const auto variables,
      GraphVariables::Create(
          graph, Checkpoint({{"a", kThree.at("a")}, {"other", kThree.at("c")}}), {}));
  EXPECT_EQ(Read(*variables, "a"), Floats({1, 2}));
  EXPECT_EQ(Read(*variables, "c"), Floats({5, 6}));
  EXPECT_EQ(variables->Find("b"), nullptr);
}

TEST(GraphVariables, PartsOfAPartitionedVariable) {
  GraphDef graph;
  AddVariable(graph, "w/part_0", {2, 1});
  AddVariable(graph, "w/part_1", {2, 2}, "VarHandleOp");
  const auto whole = Checkpoint({{"w", graph::Floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
  ASSERT_OK_AND_ASSIGN(const auto variables, GraphVariables::Create(graph, whole, {}));
  EXPECT_EQ(Read(*variables, "w/part_0"), Floats({1, 4}));
  EXPECT_EQ(Read(*variables, "w/part_1"), Floats({2, 3, 5, 6}));

  // A part that is missing, one too many, one of another size.
  AddVariable(graph, "w/part_3", {2, 1});
  ASSERT_OK_AND_ASSIGN(const auto more, GraphVariables::Create(graph, whole, {}));
  EXPECT_THAT(std::get<std::string>(Read(*more, "w/part_1")),
              HasSubstr("the 3 parts that the graph has of 'w' do not divide its shape "
                        "[2,3] along one dimension: [2,1], [2,2]"));
  graph.mutable_node()->RemoveLast();
  SetShape(*graph.mutable_node(0), "shape", {int64_t{1} << 62, 1});
  ASSERT_OK_AND_ASSIGN(const auto other, GraphVariables::Create(graph, whole, {}));
  EXPECT_THAT(std::get<std::string>(Read(*other, "w/part_0")),
              HasSubstr("do not divide"));
}

TEST(GraphVariables, NothingByName) {
  GraphDef graph = ThreeVariables();
  EXPECT_EQ(Error(GraphVariables::Create(graph, Checkpoint({{"q", Tensor()}}), {})),
            "No variables to save: the checkpoint (memory, 1 variables) has none of the "
            "graph's");
  GraphDef frozen;
  AddConst(frozen, "a", {1}, {1});
  EXPECT_THAT(Error(GraphVariables::Create(frozen, Checkpoint(kThree), {})),
              HasSubstr("You cannot freeze a graph twice."));
  EXPECT_OK(GraphVariables::Create(frozen, nullptr, {}).status());
}

// a and c from names of the checkpoint that are not theirs, a only in part.
GraphDef GraphWithSaver(const std::string& slice) {
  GraphDef graph = ThreeVariables();
  AddStrings(graph, "file", {"model"});
  AddNode(graph, "save/Const", "PlaceholderWithDefault", {"file"});
  AddStrings(graph, "names", {"x", "y"});
  AddStrings(graph, "slices", {slice, ""});
  AddNode(graph, "restore", "RestoreV2", {"save/Const", "names", "slices"});
  AddNode(graph, "set_a", "Assign", {"a", "restore"});
  AddNode(graph, "same", "Identity", {"restore:1"});
  AddNode(graph, "set_c", "AssignVariableOp", {"c", "same"});
  AddNode(graph, "all", "NoOp", {"^set_a", "^set_c"});
  return graph;
}

Restoring WithSaver(const std::string& file = "save/Const:0") {
  Restoring restoring;
  restoring.saver.emplace().set_restore_op_name("all");
  restoring.saver->set_filename_tensor_name(file);
  return restoring;
}

TEST(GraphVariables, BySaver) {
  const auto checkpoint = Checkpoint(
      {{"x", graph::Floats({2, 2}, {1, 2, 3, 4})}, {"y", graph::Floats({2}, {5, 6})}});
  const GraphDef graph = GraphWithSaver("2 2 0,2:1,1");
  ASSERT_OK_AND_ASSIGN(const auto variables,
                       GraphVariables::Create(graph, checkpoint, WithSaver()));
  EXPECT_EQ(Read(*variables, "a"), Floats({2, 4}));
  EXPECT_EQ(Read(*variables, "c"), Floats({5, 6}));
  EXPECT_EQ(variables->Find("b"), nullptr);

  for (const auto& [slice, message] : std::map<std::string, std::string>{
           {"2 2 0,2:1,2", "slice of 2 from 1"},
           {"3 2 -:-", "does not match the shape stored in checkpoint: [2,2]"},
           {"2 2 0,2", "is no shape and slice"},
           {"2 2 0,2:1,1:-", "is no shape and slice"},
           {"2 -", "does not match the shape stored"},
           {"2 99999999999999999999 -:-", "is no shape and slice"},
           {"-1 2 -:-", "is no shape and slice"}}) {
    const GraphDef bad = GraphWithSaver(slice);
    ASSERT_OK_AND_ASSIGN(const auto read,
                         GraphVariables::Create(bad, checkpoint, WithSaver()));
    ASSERT_TRUE(std::holds_alternative<std::string>(Read(*read, "a"))) << slice;
    EXPECT_THAT(std::get<std::string>(Read(*read, "a")), HasSubstr(message)) << slice;
    EXPECT_EQ(Read(*read, "c"), Floats({5, 6}));
  }

  ASSERT_OK_AND_ASSIGN(const auto lost,
                       GraphVariables::Create(graph, Checkpoint(kThree), WithSaver()));
  EXPECT_THAT(std::get<std::string>(Read(*lost, "a")),
              HasSubstr("Key x not found in checkpoint"));
  ASSERT_OK_AND_ASSIGN(const auto other_file,
                       GraphVariables::Create(graph, checkpoint, WithSaver("k:0")));
  EXPECT_THAT(std::get<std::string>(Read(*other_file, "a")),
              HasSubstr("node 'restore' (RestoreV2): reads a file of its own"));
  EXPECT_EQ(Error(GraphVariables::Create(graph, checkpoint, WithSaver("q:0"))),
            "The name 'q:0' refers to a Tensor which does not exist. The operation, 'q', "
            "does not exist in the graph.");
}

class Initializers : public ::testing::Test {
 protected:
  Initializers() : graph_(ThreeVariables()) {}

  Values Value(const std::string& variable, const std::vector<std::string>& nodes) {
    Restoring restoring;
    restoring.initializer_nodes = nodes;
    const auto made = GraphVariables::Create(graph_, Checkpoint(kThree), restoring);
    if (!made.ok()) return std::string(Message(made.status()));
    return Read(**made, variable);
  }

  std::string Failure(const std::string& variable,
                      const std::vector<std::string>& nodes) {
    const Values value = Value(variable, nodes);
    return std::holds_alternative<std::string>(value) ? std::get<std::string>(value) : "";
  }

  GraphDef graph_;
};

TEST_F(Initializers, AssignConstants) {
  AddNode(graph_, "set_a", "Assign", {"a", "k"});
  AddNode(graph_, "k2", "Identity", {"k"});
  AddNode(graph_, "set_c", "AssignVariableOp", {"c", "k2"});
  AddNode(graph_, "all", "NoOp", {"^set_a", "^set_c"});
  EXPECT_EQ(Value("a", {"all"}), Floats({7, 8}));
  EXPECT_EQ(Value("c", {"all"}), Floats({7, 8}));
  EXPECT_EQ(Value("b", {"all"}), Floats({3, 4}));
  EXPECT_EQ(Value("a", {"set_a:0"}), Floats({7, 8}));
  EXPECT_EQ(Failure("a", {"nowhere"}),
            "The name 'nowhere' refers to an Operation not in the graph.");
}

TEST_F(Initializers, FillAndReshape) {
  AddTensor(graph_, "dims", Tensor::Of<int32_t>({2}, std::vector<int32_t>{1, 3}));
  AddConst(graph_, "one", {}, {1});
  AddNode(graph_, "ones", "Fill", {"dims", "one"});
  AddNode(graph_, "set_a", "Assign", {"a", "ones"});
  AddTensor(graph_, "flat", Tensor::Of<int64_t>({1}, std::vector<int64_t>{-1}));
  AddNode(graph_, "reshaped", "Reshape", {"ones", "flat"});
  AddNode(graph_, "set_b", "Assign", {"b", "reshaped"});
  EXPECT_EQ(Value("a", {"set_a"}), Floats({1, 1, 1}));
  EXPECT_EQ(Value("b", {"set_b"}), Floats({1, 1, 1}));

  const std::vector<int64_t> huge = {int64_t{1} << 40, int64_t{1} << 40};
  AddTensor(graph_, "huge", Tensor::Of<int64_t>({2}, huge));
  AddNode(graph_, "large", "Fill", {"huge", "one"});
  AddNode(graph_, "set_large", "Assign", {"a", "large"});
  EXPECT_THAT(Failure("a", {"set_large"}), HasSubstr("variable 'a'"));
  AddNode(graph_, "odd", "Reshape", {"ones", "huge"});
  AddNode(graph_, "set_odd", "Assign", {"a", "odd"});
  EXPECT_THAT(Failure("a", {"set_odd"}), HasSubstr("cannot make ["));
}

TEST_F(Initializers, CopyOtherVariables) {
  AddNode(graph_, "copy", "Assign", {"a", "b/read"});
  AddNode(graph_, "copy_c", "Assign", {"a", "c/read"});
  EXPECT_EQ(Value("a", {"copy"}), Floats({3, 4}));
  EXPECT_EQ(Value("a", {"copy_c"}), Floats({5, 6}));

  AddNode(graph_, "set_b", "Assign", {"b", "k"});
  EXPECT_THAT(
      Failure("a", {"copy", "set_b"}),
      HasSubstr("node 'b/read' (Identity): reads 'b' before or after node 'set_b' "
                "(Assign) changes it"));
  AddNode(graph_, "b/late", "Identity", {"b", "^set_b"});
  AddNode(graph_, "copy_late", "Assign", {"a", "b/late"});
  EXPECT_EQ(Value("a", {"copy_late"}), Floats({7, 8}));
  AddNode(graph_, "set_b_late", "Assign", {"b", "k", "^b/read"});
  EXPECT_EQ(Value("a", {"copy", "set_b_late"}), Floats({3, 4}));
}

TEST_F(Initializers, OrderOfSeveralAssignments) {
  AddConst(graph_, "l", {2}, {9, 9});
  AddNode(graph_, "first", "Assign", {"a", "k"});
  AddNode(graph_, "unordered", "Assign", {"a", "l"});
  AddNode(graph_, "second", "Assign", {"a", "l", "^first"});
  EXPECT_EQ(Value("a", {"first", "second"}), Floats({9, 9}));
  EXPECT_THAT(Failure("a", {"first", "unordered"}),
              HasSubstr("node 'unordered' (Assign): changes it in no set order with node "
                        "'first' (Assign)"));
  EXPECT_EQ(Value("b", {"first", "unordered"}), Floats({3, 4}));
}

TEST_F(Initializers, WhatCannotBeFollowedNamesTheNode) {
  AddNode(graph_, "dice", "RandomStandardNormal", {"k"});
  AddNode(graph_, "set_a", "Assign", {"a", "dice"});
  EXPECT_EQ(Failure("a", {"set_a"}),
            "variable 'a': node 'dice' (RandomStandardNormal): is no constant");
  AddNode(graph_, "more", "AssignAdd", {"b", "k"});
  EXPECT_EQ(Failure("b", {"more"}),
            "variable 'b': node 'more' (AssignAdd): is no plain assignment");
  AddNode(graph_, "train", "ResourceApplyGradientDescent", {"c", "k", "k"});
  EXPECT_EQ(Failure("c", {"train"}),
            "variable 'c': node 'train' (ResourceApplyGradientDescent): is no plain "
            "assignment");
  EXPECT_EQ(Value("a", {"more", "train"}), Floats({1, 2}));
  AddNode(graph_, "wrong", "Assign", {"k", "k"});
  EXPECT_EQ(Failure("a", {"wrong"}),
            "node 'wrong' (Assign) assigns to what is no variable");
  AddNode(graph_, "call", "PartitionedCall", {"k"});
  EXPECT_THAT(Failure("a", {"call"}), HasSubstr("node 'call' (PartitionedCall) calls"));
  AddNode(graph_, "fed", "Placeholder");
  EXPECT_THAT(Failure("a", {"fed"}), HasSubstr("You must feed a value for placeholder"));
}

}  // namespace
}  // namespace oriel::graph
