#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/passes.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// Of the logic that makes a predicate; operands may be shared.
constexpr int kMaxDepth = 12;

struct Endpoint {
  int node = GraphIndex::kNone;
  int output = 0;
  auto operator<=>(const Endpoint&) const = default;
};

// Of control flow 2: the predicate is the first input, the sides are functions.
bool IsIf(const NodeDef& node) { return node.op() == "If" || node.op() == "StatelessIf"; }

// The call of the side that runs.
void MakeCall(bool predicate, NodeDef& node) {
  NodeDef call;
  call.set_name(node.name());
  call.set_op(node.op() == "If" ? "StatefulPartitionedCall" : "PartitionedCall");
  call.set_device(node.device());
  for (int k = 1; k < node.input_size(); ++k) call.add_input(node.input(k));
  for (const char* attr : {"Tin", "Tout", "_class"}) {
    const auto it = node.attr().find(attr);
    if (it != node.attr().end()) (*call.mutable_attr())[attr] = it->second;
  }
  (*call.mutable_attr())["f"] = node.attr().at(predicate ? "then_branch" : "else_branch");
  node.Swap(&call);
}

bool IsBackEdge(const NodeDef& from) { return from.op() == "NextIteration"; }

// Goes through the graph once, inputs before their readers, and finds what can never run,
// and what Switch and Merge only pass on.
class BranchFolder {
 public:
  explicit BranchFolder(const GraphIndex& index)
      : index_(index),
        dead_nodes_(index.size(), false),
        folded_(index.size(), false),
        calls_(index.size()) {
    for (const int i : index.topological_order()) Visit(i);
  }

  // Rewires what runs. Returns the number of Switch, Merge and If nodes folded.
  int Apply(GraphDef& graph) const {
    int changes = 0;
    for (int i = 0; i < index_.size(); ++i) {
      if (folded_[i]) ++changes;
      if (dead_nodes_[i]) continue;
      const auto sources = index_.data_inputs(i);
      for (size_t k = 0; k < sources.size(); ++k) {
        const Endpoint from = Resolve({sources[k].node, sources[k].output});
        if (from == Endpoint{sources[k].node, sources[k].output}) continue;
        graph.mutable_node(i)->set_input(
            k, FormatInput(index_.node(from.node).name(), from.output));
      }
    }
    for (int i = 0; i < index_.size(); ++i) {
      if (folded_[i] && index_.node(i).op() == "Merge") {
        MakeIdentity(Resolve({i, 0}), *graph.mutable_node(i));
      }
      if (calls_[i]) MakeCall(*calls_[i], *graph.mutable_node(i));
    }
    return changes;
  }

 private:
  // What an endpoint is in the end.
  Endpoint Resolve(Endpoint endpoint) const {
    const auto it = alias_.find(endpoint);
    return it == alias_.end() ? endpoint : it->second;
  }

  bool IsDead(Endpoint endpoint) const {
    return dead_nodes_[endpoint.node] || dead_outputs_.contains(endpoint);
  }

  bool HasDeadInput(int i) const {
    for (const auto& source : index_.inputs(i)) {
      if (source.control ? dead_nodes_[source.node]
                         : IsDead({source.node, source.output})) {
        return true;
      }
    }
    return false;
  }

  void Visit(int i) {
    const std::string& op = index_.node(i).op();
    if (op == "Merge") {
      VisitMerge(i);
    } else if (HasDeadInput(i)) {
      dead_nodes_[i] = true;
    } else if (op == "Switch" && index_.data_inputs(i).size() == 2 &&
               !index_.HasControlInputs(i)) {
      VisitSwitch(i);
    } else if (IsIf(index_.node(i)) && !index_.data_inputs(i).empty()) {
      VisitIf(i);
    }
  }

  void VisitIf(int i) {
    const auto& predicate = index_.data_inputs(i)[0];
    calls_[i] = Predicate({predicate.node, predicate.output}, 0);
    for (const char* side : {"then_branch", "else_branch"}) {
      const auto it = index_.node(i).attr().find(side);
      if (it == index_.node(i).attr().end() || !it->second.has_func()) calls_[i].reset();
    }
    folded_[i] = calls_[i].has_value();
  }

  void VisitSwitch(int i) {
    const auto sources = index_.data_inputs(i);
    const auto predicate = Predicate({sources[1].node, sources[1].output}, 0);
    if (!predicate) return;
    const int live = *predicate ? 1 : 0;
    alias_[{i, live}] = Resolve({sources[0].node, sources[0].output});
    dead_outputs_.insert({i, 1 - live});
    folded_[i] = true;
  }

  void VisitMerge(int i) {
    std::vector<Endpoint> live;
    bool in_loop = false;
    for (const auto& source : index_.data_inputs(i)) {
      if (IsBackEdge(index_.node(source.node))) {
        in_loop = true;
      } else if (!IsDead({source.node, source.output})) {
        live.push_back({source.node, source.output});
      }
    }
    if (live.empty()) {
      dead_nodes_[i] = true;
      return;
    }
    if (live.size() != 1 || in_loop || index_.HasControlInputs(i) ||
        index_.data_inputs(i).size() == 1) {
      return;
    }
    for (const auto& use : index_.uses(i)) {
      if (use.output != 0) return;  // which of its inputs came
    }
    alias_[{i, 0}] = Resolve(live[0]);
    folded_[i] = true;
  }

  // The value of a bool scalar that constants and logic make.
  std::optional<bool> Predicate(Endpoint endpoint, int depth) const {
    endpoint = Resolve(endpoint);
    if (endpoint.output != 0 || depth > kMaxDepth || IsDead(endpoint)) {
      return std::nullopt;
    }
    const NodeDef& node = index_.node(endpoint.node);
    if (node.op() == "Const") return ReadBool(node);
    const auto sources = index_.data_inputs(endpoint.node);
    const auto operand = [&](size_t k) {
      return Predicate({sources[k].node, sources[k].output}, depth + 1);
    };
    if (node.op() == "Identity" && sources.size() == 1) return operand(0);
    if (node.op() == "LogicalNot" && sources.size() == 1) {
      const auto value = operand(0);
      return value ? std::optional(!*value) : std::nullopt;
    }
    const bool is_and = node.op() == "LogicalAnd";
    if ((!is_and && node.op() != "LogicalOr") || sources.size() != 2) return std::nullopt;
    const auto a = operand(0), b = operand(1);
    if (!a || !b) return std::nullopt;
    return is_and ? *a && *b : *a || *b;
  }

  static std::optional<bool> ReadBool(const NodeDef& node) {
    const auto it = node.attr().find("value");
    if (it == node.attr().end() || it->second.tensor().dtype() != tensorflow::DT_BOOL ||
        it->second.tensor().tensor_shape().dim_size() != 0) {
      return std::nullopt;
    }
    const auto value = ConstValue(node);
    if (!value.ok() || value->elements() != 1) return std::nullopt;
    return value->data<bool>()[0];
  }

  void MakeIdentity(Endpoint from, NodeDef& merge) const {
    NodeDef identity;
    identity.set_name(merge.name());
    identity.set_op("Identity");
    identity.set_device(merge.device());
    identity.add_input(FormatInput(index_.node(from.node).name(), from.output));
    for (const char* attr : {"T", "_class"}) {
      const auto it = merge.attr().find(attr);
      if (it != merge.attr().end()) (*identity.mutable_attr())[attr] = it->second;
    }
    merge.Swap(&identity);
  }

  const GraphIndex& index_;
  std::vector<bool> dead_nodes_;  // never run
  std::vector<bool> folded_;
  std::vector<std::optional<bool>> calls_;  // of If: the predicate, where it is known
  std::set<Endpoint> dead_outputs_;         // of Switch
  std::map<Endpoint, Endpoint> alias_;
};

}  // namespace

namespace {

bool HasBranches(const GraphDef& graph) {
  return std::any_of(graph.node().begin(), graph.node().end(), [](const NodeDef& node) {
    return node.op() == "Switch" || IsIf(node);
  });
}

}  // namespace

absl::StatusOr<int> FoldBranches(GraphDef& graph, const OptimizeOptions& options) {
  constexpr int kMaxRounds = 64;  // of functions with branches in functions
  int changes = 0;
  for (int round = 0; round < kMaxRounds && HasBranches(graph); ++round) {
    {
      ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
      changes += BranchFolder(index).Apply(graph);
    }
    ASSIGN_OR_RETURN(const int inlined, InlineCalls(graph, options));
    if (inlined == 0) break;
  }
  return changes;
}

}  // namespace oriel::graph
