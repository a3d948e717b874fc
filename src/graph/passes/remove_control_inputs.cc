#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/passes.h"
#include "graph/passes/pure.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// Whether each node and all that it needs only computes: to wait for it is to wait for
// nothing. Parts of control flow are not: a node that waits for one may never run.
std::vector<bool> FindPure(const GraphIndex& index) {
  std::vector<bool> pure(index.size(), false);
  for (const int i : index.topological_order()) {
    pure[i] = IsPure(index.node(i).op());
    for (const auto& source : index.inputs(i)) pure[i] = pure[i] && pure[source.node];
  }
  return pure;
}

// A NoOp that waits for one node stands for that node.
int FollowNoOps(const GraphIndex& index, int i) {
  while (index.node(i).op() == "NoOp" && index.inputs(i).size() == 1) {
    i = index.inputs(i)[0].node;
  }
  return i;
}

}  // namespace

absl::StatusOr<int> RemoveControlInputs(GraphDef& graph, const OptimizeOptions&) {
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  const std::vector<bool> pure = FindPure(index);
  int changes = 0;
  std::vector<std::vector<std::string>> rewritten(index.size());
  std::vector<bool> changed(index.size(), false);
  for (int i = 0; i < index.size(); ++i) {
    if (!index.HasControlInputs(i)) continue;
    const NodeDef& node = index.node(i);
    const size_t data = index.data_inputs(i).size();
    std::vector<std::string> kept(node.input().begin(), node.input().begin() + data);
    std::unordered_set<int> waits;
    for (const auto& source : index.inputs(i).subspan(data)) {
      if (pure[source.node]) continue;
      const int target = FollowNoOps(index, source.node);
      if (waits.insert(target).second) kept.push_back("^" + index.node(target).name());
    }
    changed[i] =
        !std::equal(kept.begin(), kept.end(), node.input().begin(), node.input().end());
    rewritten[i] = std::move(kept);
    changes += changed[i];
  }
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!changed[i]) continue;
    NodeDef& node = *graph.mutable_node(i);
    node.mutable_input()->Assign(rewritten[i].begin(), rewritten[i].end());
  }
  return changes;
}

}  // namespace oriel::graph
