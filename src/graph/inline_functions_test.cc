#include "graph/inline_functions.h"

#include <gmock/gmock.h>

#include "base/testing.h"
#include "graph/testing.h"
#include "graph/validate.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// f(a, b) = (relu(a), b, switch(a, b).output_true); g(c) = f(c, c).second
constexpr std::string_view kGraph = R"(
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "p" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "first" op: "NoOp" }
node { name: "call" op: "PartitionedCall" input: "x" input: "p:0" input: "^first"
  attr { key: "f" value { func { name: "f" } } } }
node { name: "nested" op: "g" input: "call:2" }
node { name: "y" op: "Relu" input: "call:1" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "z" op: "Relu" input: "nested" input: "^call"
  attr { key: "T" value { type: DT_FLOAT } } }
library {
  function {
    signature { name: "f" input_arg { name: "a" type: DT_FLOAT }
      input_arg { name: "b" type: DT_FLOAT } output_arg { name: "r" type: DT_FLOAT }
      output_arg { name: "s" type: DT_FLOAT } output_arg { name: "t" type: DT_FLOAT }
      control_output: "done" }
    node_def { name: "relu" op: "Relu" input: "a"
      attr { key: "T" value { type: DT_FLOAT } }
      attr { key: "_class" value { list { s: "loc:@pick" } } } }
    node_def { name: "pick" op: "Switch" input: "a" input: "b" input: "^start" }
    node_def { name: "start" op: "NoOp" }
    ret { key: "r" value: "relu:activations:0" }
    ret { key: "s" value: "b" }
    ret { key: "t" value: "pick:output_true:0" }
    control_ret { key: "done" value: "start" }
  }
  function {
    signature { name: "g" input_arg { name: "c" type: DT_FLOAT }
      output_arg { name: "r" type: DT_FLOAT } }
    node_def { name: "inner" op: "f" input: "c" input: "c" }
    ret { key: "r" value: "inner:s:0" }
  }
}
versions { producer: 30 }
)";

absl::StatusOr<GraphDef> Inline(std::string_view change = "", std::string_view to = "") {
  std::string text(kGraph);
  if (!change.empty()) text.replace(text.find(change), change.size(), to);
  auto graph = ParseGraphDef(AsBytes(text), "test", true);
  if (!graph.ok()) return graph;
  return InlineFunctions(*graph);
}

TEST(InlineFunctions, PutsBodiesInTheirPlace) {
  ASSERT_OK_AND_ASSIGN(const GraphDef graph, Inline());
  EXPECT_OK(ValidateGraph(graph));
  EXPECT_THAT(
      NodeNames(graph),
      ElementsAre("x", "p", "first", "call/input_control", "call/relu", "call/pick",
                  "call/start", "call", "nested/inner/relu", "nested/inner/pick",
                  "nested/inner/start", "nested/inner", "nested", "y", "z"));
  const auto inputs = [&](const char* name) { return FindNode(graph, name)->input(); };
  EXPECT_THAT(inputs("call/input_control"), ElementsAre("^first"));
  EXPECT_THAT(inputs("call/relu"), ElementsAre("x"));
  EXPECT_THAT(inputs("call/pick"), ElementsAre("x", "p:0", "^call/start"));
  EXPECT_THAT(inputs("call/start"), ElementsAre("^call/input_control"));
  EXPECT_EQ(FindNode(graph, "call")->op(), "IdentityN");
  EXPECT_THAT(
      FindNode(graph, "call")->attr().at("T").list().type(),
      ElementsAre(tensorflow::DT_FLOAT, tensorflow::DT_FLOAT, tensorflow::DT_FLOAT));
  EXPECT_THAT(inputs("call"),
              ElementsAre("call/relu", "p:0", "call/pick:1", "^call/start"));
  EXPECT_EQ(FindNode(graph, "nested")->op(), "Identity");
  EXPECT_EQ(FindNode(graph, "nested")->attr().at("T").type(), tensorflow::DT_FLOAT);
  EXPECT_THAT(inputs("nested/inner/relu"), ElementsAre("call/pick:1"));
  EXPECT_THAT(inputs("nested"), ElementsAre("call/pick:1"));
  EXPECT_THAT(inputs("y"), ElementsAre("p:0"));
  EXPECT_THAT(inputs("z"), ElementsAre("nested", "^call"));
  EXPECT_EQ(FindNode(graph, "call/relu")->attr().at("_class").list().s(0),
            "loc:@call/pick");
  EXPECT_EQ(graph.library().function_size(), 0);
  EXPECT_EQ(graph.versions().producer(), 30);
}

TEST(InlineFunctions, KeepsNamesApart) {
  ASSERT_OK_AND_ASSIGN(const GraphDef graph,
                       Inline("node { name: \"first\"",
                              "node { name: \"call/relu\" op: \"NoOp\" } "
                              "node { name: \"first\""));
  EXPECT_OK(ValidateGraph(graph));
  EXPECT_EQ(FindNode(graph, "call/relu")->op(), "NoOp");
  EXPECT_EQ(FindNode(graph, "call_1/relu")->op(), "Relu");
  EXPECT_THAT(FindNode(graph, "call_1/start")->input(),
              ElementsAre("^call_1/input_control"));
}

TEST(InlineFunctions, RefusesWhatDoesNotFit) {
  EXPECT_THAT(Message(Inline("func { name: \"f\" }", "func { name: \"q\" }").status()),
              HasSubstr("node 'call' (PartitionedCall) calls 'q', which is no function"));
  EXPECT_THAT(
      Message(Inline("input: \"p:0\"", "").status()),
      HasSubstr("node 'call', which calls 'f': has 1 inputs, the function has 2"));
  EXPECT_THAT(Message(Inline("pick:output_true:0", "pick:output_q:0").status()),
              HasSubstr("output 'output_q' of node 'pick' (Switch) is not known"));
  EXPECT_THAT(Message(Inline("relu:activations:0", "q:activations:0").status()),
              HasSubstr("Input for f not found: q:activations:0"));
  EXPECT_THAT(Message(Inline("key: \"s\"", "key: \"q\"").status()),
              HasSubstr("the function has no result 's'"));
  // A function that calls itself, once and twice.
  constexpr std::string_view kInner = R"(node_def { name: "start" op: "NoOp" })";
  for (const char* calls : {R"(node_def { name: "start" op: "f" input: "a" input: "b" })",
                            R"(node_def { name: "start" op: "f" input: "a" input: "b" }
           node_def { name: "again" op: "f" input: "a" input: "b" })"}) {
    EXPECT_THAT(Message(Inline(kInner, calls).status()),
                HasSubstr("calls of functions are nested over 64 deep"));
  }
}

}  // namespace
}  // namespace oriel::graph
