#include "graph/validate.h"

#include <gmock/gmock.h>

#include "base/testing.h"
#include "graph/graph_index.h"
#include "graph/subgraph.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const GraphDef& graph) {
  const absl::Status status = ValidateGraph(graph);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(Message(status));
}

TEST(ValidateGraph, NamesWhatIsWrongWithTheShapeOfTheGraph) {
  GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "y", "Relu", {"x"});
  EXPECT_OK(ValidateGraph(graph));

  GraphDef bad = graph;
  AddNode(bad, "x", "Placeholder");
  EXPECT_EQ(ErrorOf(bad), "Duplicate node names detected for x");
  bad = graph;
  AddNode(bad, "z", "Relu", {"w:1"});
  EXPECT_EQ(ErrorOf(bad), "Input for z not found: w:1");
  bad = graph;
  AddNode(bad, "z", "Relu", {"^w", "y"});
  EXPECT_EQ(ErrorOf(bad), "Input for z not found: ^w");
  bad = graph;
  AddNode(bad, "z", "Relu", {"^x", "y"});
  EXPECT_THAT(ErrorOf(bad), HasSubstr("node 'z' (Relu): data input 'y' stands after"));
  bad = graph;
  AddNode(bad, "", "Relu", {"y"});
  EXPECT_THAT(ErrorOf(bad), HasSubstr("node number 2 (Relu) has no name"));
  bad = graph;
  AddNode(bad, "z", "", {"y"});
  EXPECT_THAT(ErrorOf(bad), HasSubstr("node 'z' has no operation"));
}

TEST(ValidateGraph, FindsCyclesButNotThoseOfLoops) {
  GraphDef graph;
  AddNode(graph, "behind", "Relu", {"b"});
  AddNode(graph, "a", "Relu", {"b"});
  AddNode(graph, "b", "Relu", {"c"});
  AddNode(graph, "c", "Identity", {"x", "^a"});
  AddNode(graph, "x", "Placeholder");
  const std::string error = ErrorOf(graph);
  EXPECT_THAT(error, HasSubstr("is part of a cycle"));
  EXPECT_EQ(error.find("'behind'"), error.npos);

  GraphDef self;
  AddNode(self, "s", "Relu", {"s"});
  EXPECT_EQ(ErrorOf(self), "node 's' (Relu) is part of a cycle");

  GraphDef loop;
  AddNode(loop, "x", "Placeholder");
  AddNode(loop, "enter", "Enter", {"x"});
  AddNode(loop, "merge", "Merge", {"enter", "next"});
  AddNode(loop, "body", "Relu", {"merge"});
  AddNode(loop, "next", "NextIteration", {"body"});
  EXPECT_OK(ValidateGraph(loop));
}

TEST(ValidateGraph, ChecksTypesAndNumbersOfInputs) {
  GraphDef graph;
  SetType(AddNode(graph, "x", "Placeholder"), "dtype", DType::kInt32);
  AddNode(graph, "y", "Relu", {"x"});
  EXPECT_EQ(ErrorOf(graph), "node 'y' (Relu): input 0 ('x') is int32, want float32");

  GraphDef two;
  AddNode(two, "x", "Placeholder");
  AddNode(two, "y", "BiasAdd", {"x"});
  EXPECT_EQ(ErrorOf(two), "node 'y' (BiasAdd): has 1 inputs, want 2");

  GraphDef output;
  AddNode(output, "x", "Placeholder");
  AddNode(output, "y", "Relu", {"x:3"});
  EXPECT_EQ(ErrorOf(output),
            "node 'y' (Relu): input 0 is 'x:3', but Placeholder has 1 outputs");

  GraphDef list;
  AddNode(list, "x", "Placeholder");
  SetInt(AddNode(list, "y", "ConcatV2", {"x", "x", "x"}), "N", int64_t{1} << 40);
  EXPECT_THAT(ErrorOf(list), HasSubstr("node 'y' (ConcatV2): attribute 'N' is"));

  // A reference is as good as its value, and what is not known is let pass.
  GraphDef reference;
  AddNode(reference, "v", "VariableV2")
      .mutable_attr()
      ->at("dtype")
      .set_type(tensorflow::DT_FLOAT_REF);
  AddNode(reference, "y", "Relu", {"v"});
  AddNode(reference, "z", "SomethingElse", {"y", "y", "y"});
  EXPECT_OK(ValidateGraph(reference));
}

TEST(ValidateGraph, ChecksConstants) {
  GraphDef graph;
  AddConst(graph, "c", {2, 2}, {1, 2, 3, 4});
  EXPECT_OK(ValidateGraph(graph));
  auto& value = *graph.mutable_node(0)->mutable_attr()->at("value").mutable_tensor();

  GraphDef bad = graph;
  SetType(*bad.mutable_node(0), "dtype", DType::kInt32);
  EXPECT_THAT(ErrorOf(bad), HasSubstr("node 'c' (Const): value is float32"));
  value.mutable_tensor_shape()->mutable_dim(0)->set_size(3);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const): value has 16 bytes"));
  value.mutable_tensor_shape()->mutable_dim(0)->set_size(int64_t{1} << 62);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const)"));
  value.mutable_tensor_shape()->mutable_dim(0)->set_size(-1);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const)"));
  value.mutable_tensor_shape()->set_unknown_rank(true);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const)"));
  value.Clear();
  value.set_dtype(tensorflow::DT_FLOAT);
  value.add_float_val(1);
  value.add_float_val(2);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const): has 2 values"));
  graph.mutable_node(0)->clear_attr();
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'c' (Const) has no value"));
}

TEST(ValidateGraph, BoundsDeclaredShapes) {
  for (const char* op : {"Placeholder", "VariableV2", "VarHandleOp"}) {
    GraphDef graph;
    AddNode(graph, "x", op);
    const auto error = [&](const Shape& shape) {
      SetShape(*graph.mutable_node(0), "shape", shape);
      return std::string(Message(ValidateGraph(graph)));
    };
    EXPECT_EQ(error({-1, 3}), "");
    EXPECT_EQ(error({0, 3}), "");
    EXPECT_THAT(error({-2, 3}), HasSubstr(fmt::format("node 'x' ({})", op)));
    EXPECT_THAT(error({-1, int64_t{1} << 62, 1024}),
                HasSubstr(fmt::format("node 'x' ({})", op)));
  }
}

TEST(GraphIndex, KnowsEdgesAndOrder) {
  GraphDef graph;
  AddNode(graph, "sum", "AddV2", {"a", "split:1", "^x"});
  AddNode(graph, "a", "Relu", {"x"});
  AddNode(graph, "split", "Split", {"x"});
  AddNode(graph, "x", "Placeholder");
  ASSERT_OK_AND_ASSIGN(const GraphIndex index, GraphIndex::Create(graph));
  EXPECT_EQ(index.Find("split"), 2);
  EXPECT_EQ(index.Find("none"), GraphIndex::kNone);
  EXPECT_EQ(index.data_inputs(0).size(), 2);
  EXPECT_EQ(index.inputs(0)[1].node, 2);
  EXPECT_EQ(index.inputs(0)[1].output, 1);
  EXPECT_TRUE(index.inputs(0)[2].control);
  EXPECT_EQ(index.uses(3).size(), 3);
  EXPECT_THAT(index.topological_order(), ElementsAre(3, 1, 2, 0));
}

TEST(ExtractSubGraph, FollowsDataControlAndColocation) {
  GraphDef graph;
  graph.mutable_versions()->set_producer(27);
  AddNode(graph, "unused", "Relu", {"x"});
  AddNode(graph, "y", "Relu", {"z:0", "^guard"});
  AddNode(graph, "z", "Relu", {"x"});
  AddNode(graph, "x", "Placeholder");
  AddNode(graph, "guard", "NoOp");
  AddNode(graph, "friend", "Placeholder");
  auto* const list = (*graph.mutable_node(2)->mutable_attr())["_class"].mutable_list();
  list->add_s("loc:@friend");
  list->add_s("loc:@gone");
  ASSERT_OK_AND_ASSIGN(const GraphDef part, ExtractSubGraph(graph, {"y"}));
  EXPECT_THAT(NodeNames(part), ElementsAre("y", "z", "x", "guard", "friend"));
  EXPECT_EQ(part.versions().producer(), 27);

  const auto missing = ExtractSubGraph(graph, {"y", "nowhere"});
  EXPECT_EQ(Message(missing.status()), "nowhere is not in graph");
}

}  // namespace
}  // namespace oriel::graph
