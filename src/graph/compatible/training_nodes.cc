#include <algorithm>

#include "graph/compatible/steps.h"

namespace oriel::graph::compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

namespace {

std::string WithoutCaret(const std::string& input) {
  return input.starts_with('^') ? input.substr(1) : input;
}

// CheckNumerics goes, and its consumers lose the input that it was.
void DropChecks(GraphDef& graph, const NameSet& kept) {
  NameSet dropped;
  for (const NodeDef& node : graph.node()) {
    if (node.op() == "CheckNumerics" && !kept.contains(node.name())) {
      dropped.insert(node.name());
    }
  }
  if (dropped.empty()) return;
  GraphDef result;
  for (NodeDef& node : *graph.mutable_node()) {
    if (dropped.contains(node.name())) continue;
    auto& inputs = *node.mutable_input();
    inputs.erase(std::remove_if(inputs.begin(), inputs.end(),
                                [&](const std::string& input) {
                                  return dropped.contains(WithoutCaret(input));
                                }),
                 inputs.end());
    result.add_node()->Swap(&node);
  }
  graph.Swap(&result);
}

// Names that Identity and StopGradient give to what they read, of those that go.
using Splices = std::unordered_map<std::string, std::string>;

absl::StatusOr<Splices> FindSplices(const GraphDef& graph, const NameSet& kept) {
  NameSet control_inputs, have_control_input, colocated;
  for (const NodeDef& node : graph.node()) {
    for (std::string input : node.input()) {
      if (input.find('^') == input.npos) continue;
      std::erase(input, '^');
      control_inputs.insert(input);
      have_control_input.insert(node.name());
    }
    const auto it = node.attr().find("_class");
    if (it == node.attr().end()) continue;
    for (const std::string& entry : it->second.list().s()) {
      colocated.insert(entry.starts_with("loc:@") ? entry.substr(5) : entry);
    }
  }
  Splices splices;
  for (const NodeDef& node : graph.node()) {
    if (node.op() != "Identity" && node.op() != "StopGradient") continue;
    if (kept.contains(node.name()) || colocated.contains(node.name()) ||
        have_control_input.contains(node.name())) {
      continue;
    }
    ASSIGN_OR_RETURN(std::string input, InputText(node, 0));
    if (!control_inputs.contains(node.name())) splices[node.name()] = std::move(input);
  }
  return splices;
}

// What `input` becomes when the splices are gone through.
absl::StatusOr<std::string> Follow(const Splices& splices, std::string input) {
  for (size_t steps = 0; steps <= splices.size(); ++steps) {
    const auto it = splices.find(WithoutCaret(input));
    if (it == splices.end()) return input;
    input = it->second;
  }
  return InvalidArgument("node '{}' (Identity) is part of a cycle", WithoutCaret(input));
}

}  // namespace

absl::Status RemoveTrainingNodes(GraphDef& graph, const CompatibleOptions& options) {
  const NameSet kept(options.output_names.begin(), options.output_names.end());
  DropChecks(graph, kept);
  ASSIGN_OR_RETURN(Splices splices, FindSplices(graph, kept));
  GraphDef result;
  for (NodeDef& node : *graph.mutable_node()) {
    if (splices.contains(node.name())) continue;
    for (std::string& input : *node.mutable_input()) {
      ASSIGN_OR_RETURN(input, Follow(splices, std::move(input)));
    }
    result.add_node()->Swap(&node);
  }
  graph.Swap(&result);
  return absl::OkStatus();
}

}  // namespace oriel::graph::compatible
