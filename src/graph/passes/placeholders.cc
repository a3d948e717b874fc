#include <unordered_map>

#include "graph/passes/bool_placeholders.h"
#include "graph/passes/passes.h"

namespace oriel::graph {

using tensorflow::AttrValue;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

absl::StatusOr<int> ConvertPlaceholders(GraphDef& graph, const OptimizeOptions& options) {
  return ConvertBoolPlaceholders(graph, ParseBoolEntries(options.placeholder_to_const),
                                 options.warn);
}

absl::StatusOr<int> RewritePlaceholders(GraphDef& graph, const OptimizeOptions& options) {
  const auto& types = options.placeholder_types;
  if (types.size() != 1 && types.size() != options.input_names.size()) {
    return InvalidArgument(
        "{} placeholder types for {} inputs: want one, or one for each", types.size(),
        options.input_names.size());
  }
  std::unordered_map<std::string_view, NodeDef*> nodes;
  for (NodeDef& node : *graph.mutable_node()) nodes.emplace(node.name(), &node);
  std::vector<std::string> missing;
  for (const std::string& name : options.input_names) {
    if (name.find(':') != std::string::npos) {
      return InvalidArgument("Name '{}' appears to refer to a Tensor, not an Operation.",
                             name);
    }
    if (!nodes.contains(name)) missing.push_back(name);
  }
  if (!missing.empty()) return InputsNotFound(missing);
  for (size_t i = 0; i < options.input_names.size(); ++i) {
    NodeDef& node = *nodes.at(options.input_names[i]);
    NodeDef placeholder;
    placeholder.set_name(node.name());
    placeholder.set_op("Placeholder");
    placeholder.set_device(node.device());
    (*placeholder.mutable_attr())["dtype"].set_type(types[types.size() == 1 ? 0 : i]);
    for (const char* attr : {"shape", "_output_shapes"}) {
      const auto it = node.attr().find(attr);
      if (it != node.attr().end()) (*placeholder.mutable_attr())[attr] = it->second;
    }
    node.Swap(&placeholder);
  }
  return static_cast<int>(options.input_names.size());
}

}  // namespace oriel::graph
