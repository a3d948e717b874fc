#include "graph/unread_writes.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "graph/graph_index.h"
#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool WritesResource(const NodeDef& node) {
  return node.op() == "AssignVariableOp" || node.op() == "AssignAddVariableOp" ||
         node.op() == "AssignSubVariableOp";
}

// The node that a handle comes from.
int Handle(const GraphIndex& index, int writer) {
  const auto inputs = index.data_inputs(writer);
  return inputs.empty() ? GraphIndex::kNone : inputs[0].node;
}

// The nodes that `handle` comes out of.
std::unordered_set<int> Carriers(const GraphIndex& index, int handle) {
  std::unordered_set<int> carriers = {handle};
  std::vector<int> stack = {handle};
  while (!stack.empty()) {
    const int i = stack.back();
    stack.pop_back();
    for (const auto& use : index.uses(i)) {
      const std::string& op = index.node(use.node).op();
      const bool passes_on = op == "Identity" || op == "IdentityN" || op == "Switch" ||
                             op == "Merge" || op == "Enter" || op == "Exit";
      if (!use.control && passes_on && carriers.insert(use.node).second) {
        stack.push_back(use.node);
      }
    }
  }
  return carriers;
}

// Whether the variable is taken by a node that, over any inputs, comes after `write`.
bool IsTakenAfter(const GraphIndex& index, int write, int handle) {
  const std::unordered_set<int> carriers = Carriers(index, handle);
  std::vector<int> stack = {write};
  std::unordered_set<int> seen = {write};
  while (!stack.empty()) {
    const int i = stack.back();
    stack.pop_back();
    for (const auto& use : index.uses(i)) {
      if (!seen.insert(use.node).second) continue;
      for (const auto& input : index.data_inputs(use.node)) {
        if (carriers.contains(input.node)) return true;
      }
      stack.push_back(use.node);
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<int> ForgetUnreadWrites(GraphDef& graph) {
  // Each write takes a look at all that comes after it.
  constexpr int kMaxWrites = 1000;
  std::unordered_set<std::string> forgotten;
  {
    ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
    int writes = 0;
    for (int i = 0; i < index.size() && writes < kMaxWrites; ++i) {
      if (!WritesResource(index.node(i))) continue;
      ++writes;
      const int handle = Handle(index, i);
      if (handle == GraphIndex::kNone || index.node(handle).op() != "VarHandleOp")
        continue;
      if (!IsTakenAfter(index, i, handle)) forgotten.insert(index.node(i).name());
    }
  }
  if (forgotten.empty()) return 0;
  for (NodeDef& node : *graph.mutable_node()) {
    const auto waits = [&](const std::string& input) {
      const InputRef ref = ParseInput(input);
      return ref.control && forgotten.contains(std::string(ref.node));
    };
    auto& inputs = *node.mutable_input();
    inputs.erase(std::remove_if(inputs.begin(), inputs.end(), waits), inputs.end());
  }
  return static_cast<int>(forgotten.size());
}

}  // namespace oriel::graph
