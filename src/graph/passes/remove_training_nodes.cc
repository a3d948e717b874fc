#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/passes.h"
#include "graph/subgraph.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool IsSameTypeCast(const NodeDef& node) {
  if (node.op() != "Cast") return false;
  const auto from = GetType(node, "SrcT"), to = GetType(node, "DstT");
  return from.ok() && to.ok() && *from == *to;
}

// Output k is input k.
bool PassesOn(const NodeDef& node) {
  for (const char* op :
       {"Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics"}) {
    if (node.op() == op) return true;
  }
  return IsSameTypeCast(node);
}

bool HoldsState(const NodeDef& node) {
  return node.op() == "Variable" || node.op() == "VariableV2" ||
         node.op() == "VarHandleOp";
}

std::vector<bool> FindSpliced(const GraphIndex& index, const OptimizeOptions& options) {
  std::unordered_set<std::string_view> colocated;
  for (int i = 0; i < index.size(); ++i) {
    for (const auto name : ColocatedNodes(index.node(i))) colocated.insert(name);
  }
  std::vector<bool> spliced(index.size(), false);
  for (int i = 0; i < index.size(); ++i) {
    if (!PassesOn(index.node(i)) || index.data_inputs(i).empty()) continue;
    bool needed = index.HasControlInputs(i) || colocated.contains(index.node(i).name());
    for (const auto& source : index.data_inputs(i)) {
      needed = needed || HoldsState(index.node(source.node));
    }
    for (const auto& use : index.uses(i)) {
      needed = needed || use.control || use.output >= index.data_inputs(i).size();
    }
    spliced[i] = !needed;
  }
  for (const auto& names : {options.output_names, options.input_names}) {
    for (const std::string& name : names) {
      if (const int i = index.Find(name); i != GraphIndex::kNone) spliced[i] = false;
    }
  }
  return spliced;
}

}  // namespace

absl::StatusOr<int> RemoveTrainingNodes(GraphDef& graph, const OptimizeOptions& options) {
  std::vector<bool> spliced;
  {
    ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
    spliced = FindSpliced(index, options);
    // In topological order each spliced node's own sources are final before they are
    // used, so that chains cost one step each.
    std::vector<std::vector<GraphIndex::Source>> sources(index.size());
    for (const int i : index.topological_order()) {
      if (!spliced[i]) continue;
      for (GraphIndex::Source source : index.data_inputs(i)) {
        if (spliced[source.node]) source = sources[source.node][source.output];
        sources[i].push_back(source);
      }
    }
    for (int i = 0; i < index.size(); ++i) {
      for (const auto& use : index.uses(i)) {
        if (!spliced[i] || spliced[use.node]) continue;
        const auto& source = sources[i][use.output];
        graph.mutable_node(use.node)->set_input(
            use.input, FormatInput(index.node(source.node).name(), source.output));
      }
    }
  }
  int kept = 0;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (spliced[i]) continue;
    if (kept != i) graph.mutable_node()->SwapElements(kept, i);
    ++kept;
  }
  const int removed = graph.node_size() - kept;
  graph.mutable_node()->DeleteSubrange(kept, removed);
  return removed;
}

}  // namespace oriel::graph
