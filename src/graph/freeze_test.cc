#include "graph/freeze.h"

#include <gmock/gmock.h>

#include "base/testing.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// y = relu(x * read(w)), w a VariableV2; r = ReadVariableOp(h) + x.
GraphDef ExampleGraph() {
  GraphDef graph;
  graph.mutable_versions()->set_producer(27);
  AddNode(graph, "x", "Placeholder").set_device("/device:GPU:0");
  auto& w = AddNode(graph, "w", "VariableV2");
  SetShape(w, "shape", {2});
  AddNode(graph, "w/read", "Identity", {"w"});
  AddNode(graph, "mul", "Mul", {"x", "w/read"});
  AddNode(graph, "y", "Relu", {"mul"});
  auto& h = AddNode(graph, "h", "VarHandleOp");
  SetShape(h, "shape", {2});
  SetString(h, "shared_name", "other/name");
  auto& pass = AddNode(graph, "pass", "Identity", {"h"});
  (*pass.mutable_attr())["T"].set_type(tensorflow::DT_RESOURCE);
  AddNode(graph, "read", "ReadVariableOp", {"pass"});
  AddNode(graph, "r", "AddV2", {"read", "x"});
  AddNode(graph, "w/Assign", "Assign", {"w", "w/read"});
  return graph;
}

MemoryVariables ExampleVariables() {
  return MemoryVariables({{"w", Floats({2}, {3, 4})},
                          {"other/name", Floats({2}, {5, 6})},
                          {"global_step", Floats({}, {1})}});
}

absl::Status FreezeError(const GraphDef& graph, const FreezeOptions& options) {
  return FreezeGraph(graph, ExampleVariables(), options).status();
}

TEST(FreezeGraph, MakesVariablesConstants) {
  ASSERT_OK_AND_ASSIGN(
      const GraphDef frozen,
      FreezeGraph(ExampleGraph(), ExampleVariables(), {.output_node_names = {"y", "r"}}));
  EXPECT_THAT(NodeNames(frozen),
              ElementsAre("x", "w", "w/read", "mul", "y", "h", "pass", "read", "r"));
  EXPECT_EQ(frozen.versions().producer(), 27);
  EXPECT_THAT(ConstFloats(frozen, "w"), ElementsAre(3, 4));
  EXPECT_THAT(ConstFloats(frozen, "h"), ElementsAre(5, 6));
  const auto& w = *FindNode(frozen, "w");
  EXPECT_EQ(w.op(), "Const");
  EXPECT_EQ(w.attr().size(), 2);
  EXPECT_EQ(FindNode(frozen, "w/read")->op(), "Identity");
  EXPECT_EQ(FindNode(frozen, "read")->op(), "Identity");
  EXPECT_FALSE(FindNode(frozen, "read")->attr().contains("dtype"));
  EXPECT_EQ(FindNode(frozen, "read")->attr().at("T").type(), tensorflow::DT_FLOAT);
  EXPECT_EQ(FindNode(frozen, "pass")->attr().at("T").type(), tensorflow::DT_FLOAT);
  EXPECT_EQ(FindNode(frozen, "x")->device(), "");
  ASSERT_OK_AND_ASSIGN(const GraphDef placed,
                       FreezeGraph(ExampleGraph(), ExampleVariables(),
                                   {.output_node_names = {"y"}, .clear_devices = false}));
  EXPECT_EQ(FindNode(placed, "x")->device(), "/device:GPU:0");
}

TEST(FreezeGraph, LeavesVariablesThatAreNotWanted) {
  ASSERT_OK_AND_ASSIGN(
      const GraphDef denied,
      FreezeGraph(ExampleGraph(), ExampleVariables(),
                  {.output_node_names = {"y", "r"}, .variable_names_denylist = {"h"}}));
  EXPECT_EQ(FindNode(denied, "w")->op(), "Const");
  EXPECT_EQ(FindNode(denied, "h")->op(), "VarHandleOp");
  EXPECT_EQ(FindNode(denied, "read")->op(), "ReadVariableOp");
  EXPECT_EQ(FindNode(denied, "pass")->attr().at("T").type(), tensorflow::DT_RESOURCE);
  ASSERT_OK_AND_ASSIGN(
      const GraphDef allowed,
      FreezeGraph(ExampleGraph(), ExampleVariables(),
                  {.output_node_names = {"y", "r"}, .variable_names_allowlist = {"h"}}));
  EXPECT_EQ(FindNode(allowed, "w")->op(), "VariableV2");
  EXPECT_EQ(FindNode(allowed, "h")->op(), "Const");
}

TEST(FreezeGraph, TurnsReferencesIntoValues) {
  GraphDef graph;
  AddNode(graph, "v", "Variable");
  AddNode(graph, "ref", "RefIdentity", {"v"});
  AddNode(graph, "ref2", "RefIdentity", {"ref"});
  AddNode(graph, "y", "Relu", {"ref2"});
  ASSERT_OK_AND_ASSIGN(const GraphDef frozen,
                       FreezeGraph(graph, MemoryVariables({{"v", Floats({}, {2})}}),
                                   {.output_node_names = {"y"}}));
  EXPECT_EQ(FindNode(frozen, "ref")->op(), "Identity");
  EXPECT_EQ(FindNode(frozen, "ref2")->op(), "Identity");
}

TEST(FreezeGraph, GathersFromAConstant) {
  GraphDef graph;
  SetShape(AddNode(graph, "table", "VarHandleOp"), "shape", {2});
  SetType(AddNode(graph, "rows", "Placeholder"), "dtype", DType::kInt64);
  auto& gather = AddNode(graph, "g", "ResourceGather", {"table", "rows", "^rows"});
  SetType(gather, "dtype", DType::kFloat32);
  SetType(gather, "Tindices", DType::kInt64);
  const MemoryVariables variables({{"table", Floats({2}, {7, 8})}});
  ASSERT_OK_AND_ASSIGN(const GraphDef frozen,
                       FreezeGraph(graph, variables, {.output_node_names = {"g"}}));
  const auto& node = *FindNode(frozen, "g");
  EXPECT_EQ(node.op(), "GatherV2");
  EXPECT_THAT(node.input(), ElementsAre("table", "rows", "g/axis"));
  EXPECT_THAT(NodeNames(frozen), ElementsAre("table", "rows", "g", "g/axis"));
  EXPECT_EQ(FindNode(frozen, "g/axis")->attr().at("dtype").type(), tensorflow::DT_INT64);

  SetInt(*graph.mutable_node(2), "batch_dims", 1);
  const auto error = FreezeGraph(graph, variables, {.output_node_names = {"g"}});
  EXPECT_THAT(Message(error.status()),
              HasSubstr("batch_dims must be 0 for freeze_graph, but got node(g)"));
}

TEST(FreezeGraph, RefusesOtherUsesOfAHandle) {
  GraphDef graph = ExampleGraph();
  AddNode(graph, "call", "StatefulPartitionedCall", {"x", "pass"});
  const FreezeOptions options{.output_node_names = {"call"}};
  EXPECT_THAT(Message(FreezeError(graph, options)),
              HasSubstr("node 'call' (StatefulPartitionedCall) takes the variable 'h' "
                        "itself as input 1"));
  EXPECT_OK(FreezeError(
      graph, {.output_node_names = {"call"}, .variable_names_denylist = {"h"}}));
}

TEST(FreezeGraph, DropsWhatTensorFlowDrops) {
  GraphDef graph = ExampleGraph();
  for (auto& node : *graph.mutable_node()) {
    node.set_device("/cpu:0");
    (*node.mutable_attr())["_output_shapes"].mutable_list();
  }
  graph.mutable_node(7)->add_input("^x");  // "read"
  ASSERT_OK_AND_ASSIGN(
      const GraphDef frozen,
      FreezeGraph(graph, ExampleVariables(),
                  {.output_node_names = {"y", "r"}, .clear_devices = false}));
  for (const auto& node : frozen.node()) {
    const bool made_anew =
        node.name() == "w" || node.name() == "h" || node.name() == "read";
    EXPECT_EQ(node.device(), made_anew ? "" : "/cpu:0") << node.name();
    const bool behind_variable =
        made_anew || node.name() == "w/read" || node.name() == "pass";
    EXPECT_EQ(node.attr().contains("_output_shapes"), !behind_variable) << node.name();
  }
  EXPECT_THAT(FindNode(frozen, "read")->input(), ElementsAre("pass"));
  EXPECT_TRUE(frozen.has_library() && frozen.has_versions());
}

TEST(FreezeGraph, SaysWhatIsMissingOrDoesNotFit) {
  const FreezeOptions options{.output_node_names = {"y"}};
  EXPECT_EQ(Message(FreezeError(ExampleGraph(), {})),
            "You need to supply the name of a node to --output_node_names.");
  EXPECT_EQ(Message(FreezeError(ExampleGraph(), {.output_node_names = {"q"}})),
            "q is not in graph");

  GraphDef graph = ExampleGraph();
  SetShape(*graph.mutable_node(1), "shape", {3});
  EXPECT_EQ(Message(FreezeError(graph, options)),
            "variable 'w': the graph has shape [3], the checkpoint [2]");
  SetShape(*graph.mutable_node(1), "shape", {-1});
  EXPECT_OK(FreezeError(graph, options));
  SetType(*graph.mutable_node(1), "dtype", DType::kFloat64);
  EXPECT_EQ(Message(FreezeError(graph, options)),
            "variable 'w': the graph has float64, the checkpoint float32");

  graph = ExampleGraph();
  AddNode(graph, "lost", "VariableV2");
  AddNode(graph, "z", "Relu", {"lost"});
  const absl::Status lost = FreezeError(graph, {.output_node_names = {"z"}});
  EXPECT_EQ(lost.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(lost),
              HasSubstr("Attempting to use uninitialized value lost: the variable"));

  EXPECT_THAT(Message(FreezeError(ExampleGraph(), {.output_node_names = {"w/Assign"}})),
              HasSubstr("node 'w/Assign' (Assign) writes the variable 'w'"));
  AddNode(graph, "stray", "ReadVariableOp", {"x"});
  EXPECT_THAT(Message(FreezeError(graph, {.output_node_names = {"stray"}})),
              HasSubstr("Cannot find the variable that is an input to the "
                        "ReadVariableOp. (node 'stray'"));
}

}  // namespace
}  // namespace oriel::graph
