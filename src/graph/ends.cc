#include "graph/ends.h"

#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool HasValue(const NodeDef& node) {
  static const std::set<std::string_view> kWithout = {"Assert",
                                                      "Assign",
                                                      "AssignAdd",
                                                      "AssignAddVariableOp",
                                                      "AssignSub",
                                                      "Const",
                                                      "NoOp",
                                                      "PrintV2",
                                                      "AssignVariableOp",
                                                      "AssignSubVariableOp",
                                                      "SaveV2",
                                                      "Save",
                                                      "SaveSlices",
                                                      "RestoreV2",
                                                      "ShardedFilename",
                                                      "MergeV2Checkpoints"};
  return !kWithout.contains(node.op());
}

// The nodes that data of a placeholder reaches.
std::unordered_set<std::string_view> Reached(const GraphDef& graph) {
  std::unordered_map<std::string_view, std::vector<std::string_view>> readers;
  std::unordered_set<std::string_view> reached;
  std::vector<std::string_view> stack;
  for (const NodeDef& node : graph.node()) {
    if (node.op() == "Placeholder") {
      reached.insert(node.name());
      stack.emplace_back(node.name());
    }
    for (const std::string& input : node.input()) {
      const InputRef ref = ParseInput(input);
      if (!ref.control) readers[ref.node].emplace_back(node.name());
    }
  }
  while (!stack.empty()) {
    const std::string_view name = stack.back();
    stack.pop_back();
    for (const std::string_view reader : readers[name]) {
      if (reached.insert(reader).second) stack.push_back(reader);
    }
  }
  return reached;
}

}  // namespace

GraphEnds FindEnds(const GraphDef& graph) {
  GraphEnds ends;
  std::unordered_set<std::string_view> read;
  std::vector<std::string> unread;
  for (const NodeDef& node : graph.node()) {
    for (const std::string& input : node.input()) read.insert(ParseInput(input).node);
  }
  for (const NodeDef& node : graph.node()) {
    if (node.op() != "Placeholder") continue;
    (read.contains(node.name()) ? ends.inputs : unread).push_back(node.name());
  }
  if (ends.inputs.empty()) ends.inputs = std::move(unread);
  const auto reached = Reached(graph);
  for (const NodeDef& node : graph.node()) {
    if (node.op() == "Placeholder" || read.contains(node.name())) continue;
    if (!HasValue(node) || (!reached.empty() && !reached.contains(node.name()))) continue;
    ends.outputs.push_back(node.name());
  }
  return ends;
}

absl::Status NoOutputs(const GraphDef& graph) {
  RETURN_IF_ERROR(GraphIndex::Create(graph).status());
  return InvalidArgument("has no outputs, name some with --output");
}

}  // namespace oriel::graph
