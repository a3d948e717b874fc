#include "graph/freeze.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "graph/assignments.h"
#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/subgraph.h"
#include "graph/validate.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

template <size_t N>
bool IsOneOf(const std::string& op, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

// Operations that pass a reference on as it is, and their forms for values.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kReferenceOps = {{
    {"RefIdentity", "Identity"},
    {"RefSwitch", "Switch"},
    {"RefEnter", "Enter"},
    {"RefExit", "Exit"},
    {"RefMerge", "Merge"},
}};

// Operations that pass a handle or a value on as it is.
bool PassesOn(const NodeDef& node) {
  constexpr std::array<std::string_view, 6> kOps = {
      "Identity", "Switch", "Enter", "Exit", "NextIteration", "_SwitchN"};
  return IsOneOf(node.op(), kOps);
}

// Operations that change a variable: meaningless once it is a constant.
bool WritesVariable(const NodeDef& node) {
  constexpr std::array<std::string_view, 11> kOps = {
      "Assign",           "AssignAdd",           "AssignSub",
      "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp",
      "ScatterUpdate",    "ScatterAdd",          "ScatterSub",
      "CountUpTo",        "ResourceCountUpTo"};
  return IsOneOf(node.op(), kOps);
}

void MakeConst(NodeDef& node, const Tensor& value) {
  std::string name = std::move(*node.mutable_name());
  node.Clear();
  node.set_name(std::move(name));
  node.set_op("Const");
  SetType(node, "dtype", value.dtype());
  SetTensor(node, "value", value);
}

// Makes `node` anew as `op` that reads its first `inputs` inputs; `attrs` name the old
// attributes that it keeps, and what they are called then.
void MakeReader(NodeDef& node, const char* op, int inputs,
                std::span<const std::pair<const char*, const char*>> attrs) {
  NodeDef made;
  made.set_name(node.name());
  made.set_op(op);
  for (int k = 0; k < inputs; ++k) made.add_input(node.input(k));
  for (const auto& [from, to] : attrs) {
    const auto it = node.attr().find(from);
    if (it != node.attr().end()) (*made.mutable_attr())[to] = it->second;
  }
  node.Swap(&made);
}

class Freezer {
 public:
  Freezer(GraphDef graph, const VariableSource& variables, const FreezeOptions& options)
      : graph_(std::move(graph)), variables_(variables), options_(options) {}

  absl::StatusOr<GraphDef> Run() {
    // Decide everything before the first node changes: the index reads the graph.
    {
      ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph_));
      plans_.resize(index.size());
      for (const int i : index.topological_order()) RETURN_IF_ERROR(Decide(index, i));
      RETURN_IF_ERROR(CheckAxes(index));
    }
    // Constants that are added for one node belong to no plan.
    const int nodes = graph_.node_size();
    for (int i = 0; i < nodes; ++i) RETURN_IF_ERROR(Apply(i));
    return std::move(graph_);
  }

 private:
  enum class Action {
    kNone,
    kFreeze,    // the variable itself
    kPassOn,    // its reference, handle or value goes through
    kDeref,     // the same by an operation on references
    kRead,      // ReadVariableOp
    kGather,    // ResourceGather
    kGatherNd,  // ResourceGatherNd
  };
  struct Plan {
    Action action = Action::kNone;
    int variable = GraphIndex::kNone;  // what comes out of the node is of this one
    std::string_view value_op = {};    // kDeref: the operation to be
  };

  bool IsWanted(const std::string& name) const {
    const auto& allow = options_.variable_names_allowlist;
    return (allow.empty() || Contains(allow, name)) &&
           !Contains(options_.variable_names_denylist, name);
  }

  absl::Status Decide(const GraphIndex& index, int i) {
    const NodeDef& node = index.node(i);
    const auto inputs = index.data_inputs(i);
    if (IsVariable(node)) {
      if (IsWanted(node.name())) plans_[i] = {Action::kFreeze, i};
      return absl::OkStatus();
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
      const Plan& source = plans_[inputs[k].node];
      if (source.variable == GraphIndex::kNone) continue;
      const NodeDef& variable = index.node(source.variable);
      if (WritesVariable(node) && k == 0) {
        return InvalidArgument(
            "node '{}' ({}) writes the variable '{}', which cannot be a constant then",
            node.name(), node.op(), variable.name());
      }
      if (PassesOn(node) && k == 0) {
        plans_[i] = {Action::kPassOn, source.variable};
      } else if (variable.op() == "VarHandleOp") {
        RETURN_IF_ERROR(DecideReader(node, k, variable, i));
      } else {
        for (const auto& [reference, value] : kReferenceOps) {
          if (node.op() == reference)
            plans_[i] = {Action::kDeref, source.variable, value};
        }
      }
    }
    return CheckSource(index, i);
  }

  // Node `i` takes the handle of a variable that becomes a constant as its input `k`.
  absl::Status DecideReader(const NodeDef& node, size_t k, const NodeDef& variable,
                            int i) {
    if (k == 0 && node.op() == "ReadVariableOp") {
      plans_[i].action = Action::kRead;
    } else if (k == 0 && node.op() == "ResourceGather") {
      plans_[i].action = Action::kGather;
    } else if (k == 0 && node.op() == "ResourceGatherNd") {
      plans_[i].action = Action::kGatherNd;
    } else {
      return InvalidArgument(
          "node '{}' ({}) takes the variable '{}' itself as input {}, so it cannot be a "
          "constant: what ReadVariableOp, ResourceGather and ResourceGatherNd read can",
          node.name(), node.op(), variable.name(), k);
    }
    const bool gathers = node.op() != "ReadVariableOp";
    if (gathers && node.input_size() < 2) {
      return InvalidArgument("node '{}' ({}): has {} inputs, want 2", node.name(),
                             node.op(), node.input_size());
    }
    return absl::OkStatus();
  }

  // A handle from elsewhere (a placeholder) may be read; a value may not.
  absl::Status CheckSource(const GraphIndex& index, int i) const {
    const NodeDef& node = index.node(i);
    const auto inputs = index.data_inputs(i);
    if (node.op() != "ReadVariableOp" || plans_[i].action == Action::kRead) {
      return absl::OkStatus();
    }
    if (!inputs.empty()) {
      const NodeDef& source = index.node(inputs[0].node);
      const bool typed = source.op() == "Placeholder" || source.op() == "Const";
      if (!typed || !GetType(source, "dtype").ok()) return absl::OkStatus();
    }
    return InvalidArgument(
        "Cannot find the variable that is an input to the ReadVariableOp. (node '{}')",
        node.name());
  }

  absl::Status CheckAxes(const GraphIndex& index) const {
    for (int i = 0; i < index.size(); ++i) {
      if (plans_[i].action != Action::kGather) continue;
      const std::string axis = index.node(i).name() + "/axis";
      if (index.Find(axis) != GraphIndex::kNone) {
        return InvalidArgument("node '{}' is in the way of a constant of that name",
                               axis);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Apply(int i) {
    NodeDef& node = *graph_.mutable_node(i);
    const Plan& plan = plans_[i];
    switch (plan.action) {
      case Action::kNone:
        return absl::OkStatus();
      case Action::kFreeze:
        return Freeze(node);
      case Action::kPassOn:
        node.mutable_attr()->erase("_output_shapes");
        return SetTypeOf(node, plan.variable);
      case Action::kDeref:
        node.set_op(std::string(plan.value_op));
        return absl::OkStatus();
      case Action::kRead: {
        constexpr std::array<std::pair<const char*, const char*>, 2> kAttrs = {
            {{"dtype", "T"}, {"_class", "_class"}}};
        MakeReader(node, "Identity", 1, kAttrs);
        return absl::OkStatus();
      }
      case Action::kGather:
        return ReplaceGather(i);
      case Action::kGatherNd: {
        MakeReader(node, "GatherNd", 2, kGatherAttrs);
        return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetTypeOf(NodeDef& node, int variable) {
    // The variable comes before what it flows through only in topological order: its
    // node may be a constant by now. Both have the attribute.
    ASSIGN_OR_RETURN(const DType dtype, GetType(graph_.node(variable), "dtype"));
    SetType(node, "T", dtype);
    return absl::OkStatus();
  }

  absl::Status Freeze(NodeDef& node) {
    const VariableInfo* info = variables_.Find(node.name());
    if (info == nullptr && node.op() == "VarHandleOp") {
      info = variables_.Find(VariableKey(node));
    }
    if (info == nullptr) {
      return NotFound(
          "Attempting to use uninitialized value {}: the variable ({}) is not in the "
          "checkpoint ({}, {} variables)",
          node.name(), node.op(), variables_.format(), variables_.variables().size());
    }
    ASSIGN_OR_RETURN(const DType dtype, GetType(node, "dtype"));
    ASSIGN_OR_RETURN(const Tensor value, variables_.Read(info->name));
    if (dtype != value.dtype()) {
      return InvalidArgument("variable '{}': the graph has {}, the checkpoint {}",
                             node.name(), DTypeName(dtype), DTypeName(value.dtype()));
    }
    RETURN_IF_ERROR(CheckShape(node, value.shape()));
    constexpr uint64_t kMaxBytes = std::numeric_limits<int>::max();
    if (value.bytes().size() > kMaxBytes - bytes_) {
      return InvalidArgument(
          "variable '{}': with its {} bytes the constants would be over 2 GiB, which no "
          "GraphDef can hold",
          node.name(), value.bytes().size());
    }
    bytes_ += value.bytes().size();
    MakeConst(node, value);
    return absl::OkStatus();
  }

  absl::Status CheckShape(const NodeDef& node, const Shape& have) const {
    const auto it = node.attr().find("shape");
    if (it == node.attr().end() || it->second.shape().unknown_rank()) {
      return absl::OkStatus();
    }
    const auto want = ShapeFromProto(it->second.shape());
    if (!want.ok()) return Annotate(want.status(), node.name());
    bool fits = want->rank() == have.rank();
    for (int d = 0; fits && d < have.rank(); ++d) {
      fits = want->dim(d) < 0 || want->dim(d) == have.dim(d);
    }
    if (fits) return absl::OkStatus();
    return InvalidArgument("variable '{}': the graph has shape {}, the checkpoint {}",
                           node.name(), want->ToString(), have.ToString());
  }

  absl::Status ReplaceGather(int i) {
    NodeDef& node = *graph_.mutable_node(i);
    ASSIGN_OR_RETURN(const DType indices, GetType(node, "Tindices"));
    ASSIGN_OR_RETURN(const int64_t batch_dims, GetIntOr(node, "batch_dims", 0));
    if (batch_dims != 0) {
      return InvalidArgument(
          "batch_dims must be 0 for freeze_graph, but got node({}).attr('batch_dims') = "
          "{}.",
          node.name(), batch_dims);
    }
    if (indices != DType::kInt32 && indices != DType::kInt64) {
      return InvalidArgument(
          "node '{}' (ResourceGather): indices are {}, want int32 or int64", node.name(),
          DTypeName(indices));
    }
    MakeReader(node, "GatherV2", 2, kGatherAttrs);
    const std::string axis = node.name() + "/axis";
    node.add_input(axis);
    SetType(node, "Taxis", indices);
    NodeDef& constant = *graph_.add_node();
    constant.set_name(axis);
    MakeConst(constant, Tensor(indices, Shape{}));
    return absl::OkStatus();
  }

  static constexpr std::array<std::pair<const char*, const char*>, 3> kGatherAttrs = {
      {{"dtype", "Tparams"}, {"Tindices", "Tindices"}, {"_class", "_class"}}};

  GraphDef graph_;
  const VariableSource& variables_;
  const FreezeOptions& options_;
  std::vector<Plan> plans_;  // by node
  uint64_t bytes_ = 0;       // of constants so far
};

}  // namespace

absl::StatusOr<GraphDef> FreezeGraph(const GraphDef& graph,
                                     const VariableSource& variables,
                                     const FreezeOptions& options) {
  if (options.output_node_names.empty()) {
    return InvalidArgument(
        "You need to supply the name of a node to --output_node_names.");
  }
  ASSIGN_OR_RETURN(GraphDef needed, ExtractSubGraph(graph, options.output_node_names));
  needed.clear_debug_info();
  if (options.clear_devices) {
    for (NodeDef& node : *needed.mutable_node()) node.clear_device();
  }
  ASSIGN_OR_RETURN(GraphDef frozen, Freezer(std::move(needed), variables, options).Run());
  RETURN_IF_ERROR(ValidateGraph(frozen));
  // TensorFlow writes both even when they are empty.
  frozen.mutable_library();
  frozen.mutable_versions();
  return frozen;
}

}  // namespace oriel::graph
