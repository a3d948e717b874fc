#include <algorithm>

#include "graph/compatible/steps.h"
#include "graph/passes/bool_placeholders.h"

namespace oriel::graph::compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

absl::Status ConvertPlaceholderToConst(GraphDef& graph,
                                       const CompatibleOptions& options) {
  ConvertBoolPlaceholders(graph, ParseBoolEntries(options.placeholder_to_const),
                          options.warn);
  graph.clear_library();
  graph.clear_versions();
  return absl::OkStatus();
}

namespace {

// The original's own idea of a node's name, another one than NodeNameFromInput.
std::string PlainName(const std::string& input) {
  if (input.starts_with('^')) return input.substr(1);
  return input.substr(0, input.find(':'));
}

absl::Status RewriteInputs(GraphDef& graph, const CompatibleOptions& options) {
  const auto& names = options.input_names;
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (name.find(':') != name.npos) {
      return InvalidArgument("Name '{}' appears to refer to a Tensor, not an Operation.",
                             name);
    }
    if (std::find(missing.begin(), missing.end(), name) == missing.end()) {
      missing.push_back(name);
    }
  }
  for (NodeDef& node : *graph.mutable_node()) {
    const auto at = std::find(names.begin(), names.end(), node.name());
    if (at == names.end()) continue;
    std::erase(missing, node.name());
    const auto& types = options.placeholder_types;
    const size_t index = types.size() == 1 ? 0 : at - names.begin();
    if (index >= types.size()) {
      return InvalidArgument("list index out of range: no placeholder type for '{}'",
                             node.name());
    }
    NodeDef placeholder;
    placeholder.set_name(node.name());
    placeholder.set_op("Placeholder");
    (*placeholder.mutable_attr())["dtype"].set_type(
        static_cast<tensorflow::DataType>(types[index]));
    for (const char* attr : {"_output_shapes", "shape"}) {
      const auto it = node.attr().find(attr);
      if (it != node.attr().end()) (*placeholder.mutable_attr())[attr] = it->second;
    }
    node.Swap(&placeholder);
  }
  return missing.empty() ? absl::OkStatus() : InputsNotFound(missing);
}

// What each node needs to be there: inputs and colocated nodes, by name.
std::vector<std::string> Needs(const NodeDef& node) {
  std::vector<std::string> names;
  for (const std::string& input : node.input()) names.push_back(PlainName(input));
  const auto it = node.attr().find("_class");
  if (it == node.attr().end()) return names;
  for (const std::string& entry : it->second.list().s()) {
    names.push_back(entry.starts_with("loc:@") ? entry.substr(5) : entry);
  }
  return names;
}

}  // namespace

absl::Status StripUnused(GraphDef& graph, const CompatibleOptions& options) {
  RETURN_IF_ERROR(RewriteInputs(graph, options));
  std::unordered_map<std::string, int> numbers;
  for (int i = 0; i < graph.node_size(); ++i) {
    numbers[PlainName(graph.node(i).name())] = i;
  }
  for (const std::string& name : options.output_names) {
    if (!numbers.contains(name)) return InvalidArgument("{} is not in graph", name);
  }
  NameSet kept;
  std::vector<std::string> next = options.output_names;
  while (!next.empty()) {
    const std::string name = std::move(next.back());
    next.pop_back();
    if (!kept.insert(name).second) continue;
    const auto it = numbers.find(name);
    if (it == numbers.end()) {
      return InvalidArgument("the colocated node '{}' is not in graph", name);
    }
    for (std::string& need : Needs(graph.node(it->second))) {
      next.push_back(std::move(need));
    }
  }
  int count = 0;
  for (int i = 0; i < graph.node_size(); ++i) {
    if (!kept.contains(PlainName(graph.node(i).name()))) continue;
    if (count != i) graph.mutable_node()->SwapElements(count, i);
    ++count;
  }
  graph.mutable_node()->DeleteSubrange(count, graph.node_size() - count);
  return absl::OkStatus();
}

}  // namespace oriel::graph::compatible
