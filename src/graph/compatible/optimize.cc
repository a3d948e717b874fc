#include "graph/compatible/optimize.h"

#include <algorithm>

#include "graph/compatible/steps.h"

namespace oriel::graph {
namespace compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

absl::StatusOr<NodeMap> NodeMap::Create(GraphDef& graph) {
  NodeMap map;
  for (NodeDef& node : *graph.mutable_node()) {
    if (!map.nodes_.emplace(node.name(), &node).second) {
      return InvalidArgument("Duplicate node names detected for {}", node.name());
    }
  }
  return map;
}

absl::StatusOr<NodeDef*> NodeMap::Get(std::string_view input) const {
  const auto it = nodes_.find(NodeNameFromInput(input));
  if (it == nodes_.end()) {
    return InvalidArgument("No node named '{}' found in map.", input);
  }
  return it->second;
}

absl::StatusOr<NodeDef*> NodeMap::Input(const NodeDef& node, int k) const {
  ASSIGN_OR_RETURN(const std::string text, InputText(node, k));
  return Get(text);
}

std::string_view NodeNameFromInput(std::string_view input) {
  if (input.starts_with('^')) input.remove_prefix(1);
  const size_t digits = input.find_last_not_of("0123456789");
  if (digits != input.npos && digits + 1 < input.size() && input[digits] == ':') {
    input = input.substr(0, digits);
  }
  return input;
}

absl::StatusOr<std::string> InputText(const NodeDef& node, int k) {
  if (k < node.input_size()) return node.input(k);
  return InvalidArgument("node '{}' ({}): list index out of range: it has {} inputs",
                         node.name(), node.op(), node.input_size());
}

void Rebuild(GraphDef& graph, const NameSet& skip, std::vector<NodeDef> added) {
  GraphDef result;
  for (NodeDef& node : *graph.mutable_node()) {
    if (skip.contains(node.name())) continue;
    auto& inputs = *node.mutable_input();
    inputs.erase(std::remove_if(inputs.begin(), inputs.end(),
                                [&](const std::string& input) {
                                  return input.starts_with('^') &&
                                         skip.contains(input.substr(1));
                                }),
                 inputs.end());
    result.add_node()->Swap(&node);
  }
  for (NodeDef& node : added) result.add_node()->Swap(&node);
  *result.mutable_versions() = graph.versions();
  graph.Swap(&result);
}

absl::Status EnsureGraphIsValid(const GraphDef& graph) {
  NameSet names;
  for (const NodeDef& node : graph.node()) {
    if (!names.insert(node.name()).second) {
      return InvalidArgument("Duplicate node names detected for {}", node.name());
    }
  }
  for (const NodeDef& node : graph.node()) {
    for (const std::string& input : node.input()) {
      if (!names.contains(std::string(NodeNameFromInput(input)))) {
        return InvalidArgument("Input for {} not found: {}", node.name(), input);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace compatible

absl::StatusOr<tensorflow::GraphDef> OptimizeCompatibly(
    tensorflow::GraphDef graph, const CompatibleOptions& options) {
  RETURN_IF_ERROR(compatible::EnsureGraphIsValid(graph));
  RETURN_IF_ERROR(compatible::ConvertPlaceholderToConst(graph, options));
  RETURN_IF_ERROR(compatible::StripUnused(graph, options));
  RETURN_IF_ERROR(compatible::RemoveTrainingNodes(graph, options));
  RETURN_IF_ERROR(compatible::FuseDecomposedBatchNorm(graph, options));
  RETURN_IF_ERROR(compatible::FoldBatchNorms(graph, options));
  if (!options.toco_compatible) {
    RETURN_IF_ERROR(compatible::FuseResizeAndConv(graph, options));
  }
  RETURN_IF_ERROR(compatible::EnsureGraphIsValid(graph));
  return graph;
}

}  // namespace oriel::graph
