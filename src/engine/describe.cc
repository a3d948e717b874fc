#include "engine/describe.h"

#include <set>

#include "engine/cost.h"
#include "engine/import.h"
#include "engine/ops.h"
#include "graph/graph_util.h"

namespace oriel::engine {
namespace {

bool IsFloating(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 ||
         dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

// What is fed but is no input of the network.
std::set<ValueId> Variables(const tensorflow::GraphDef& graph, const Ir& ir) {
  std::set<std::string_view> names;
  for (const auto& node : graph.node()) {
    if (node.op().starts_with("Var") || node.op() == "ReadVariableOp") {
      names.insert(node.name());
    }
  }
  std::set<ValueId> variables;
  for (const ValueId input : ir.inputs) {
    if (names.contains(graph::ParseInput(ir.values[input].name).node)) {
      variables.insert(input);
    }
  }
  return variables;
}

}  // namespace

absl::StatusOr<std::vector<NodeDescription>> DescribeGraph(
    const tensorflow::GraphDef& graph, const PlanOptions& options) {
  ASSIGN_OR_RETURN(const Ir ir, ImportGraph(graph, options));
  const std::set<ValueId> variables = Variables(graph, ir);
  std::set<ValueId> counted;
  std::vector<NodeDescription> nodes;
  for (const Op& op : ir.ops) {
    NodeDescription& node = nodes.emplace_back();
    node.name = op.name;
    node.op = op.type->name;
    for (const ValueId output : op.outputs)
      node.outputs.push_back(ir.values[output].shape);
    node.multiply_adds = MultiplyAdds(ir, op);
    for (const ValueId input : op.inputs) {
      const Value& value = ir.values[input];
      if (value.constant == nullptr && !variables.contains(input)) continue;
      if (IsFloating(value.dtype) && counted.insert(input).second) {
        node.parameters += value.shape.elements();
      }
    }
  }
  return nodes;
}

}  // namespace oriel::engine
