#include "cli/inspect_saved_model.h"

#include <algorithm>
#include <filesystem>

#include "graph/graph_util.h"
#include "graph/inline_functions.h"
#include "graph/saved_model.h"
#include "graph/subgraph.h"

namespace oriel::cli {
namespace {

using tensorflow::MetaGraphDef;
using tensorflow::SignatureDef;

// Of what only loaders call, and of functions that return nothing.
bool ComputesSomething(const std::string& name, const SignatureDef& signature) {
  return !name.starts_with("__saved_model_") && !signature.outputs().empty();
}

std::string ChooseSignature(const MetaGraphDef& meta_graph) {
  std::string first;
  for (const auto& [name, signature] : meta_graph.signature_def()) {
    if (!ComputesSomething(name, signature)) continue;
    if (name == "serving_default") return name;
    if (first.empty() || name < first) first = name;
  }
  return first;
}

}  // namespace

bool IsSavedModel(const std::string& directory) {
  std::error_code error;
  const std::filesystem::path path(directory);
  return std::filesystem::is_regular_file(path / "saved_model.pb", error) ||
         std::filesystem::is_regular_file(path / "saved_model.pbtxt", error);
}

absl::StatusOr<SavedModelGraph> ReadSavedModelGraph(const std::string& directory) {
  ASSIGN_OR_RETURN(MetaGraphDef meta_graph, graph::ReadDefaultSavedModel(directory));
  SavedModelGraph result;
  ASSIGN_OR_RETURN(result.graph, graph::InlineFunctions(meta_graph.graph_def()));
  result.signature = ChooseSignature(meta_graph);
  if (result.signature.empty()) return result;
  std::vector<std::string> nodes;
  const auto& signature = meta_graph.signature_def().at(result.signature);
  for (const auto& [name, tensor] : signature.outputs()) {
    const graph::InputRef ref = graph::ParseInput(tensor.name());
    nodes.emplace_back(ref.node);
    result.outputs.push_back(graph::FormatInput(ref.node, ref.output));
  }
  std::sort(result.outputs.begin(), result.outputs.end());
  ASSIGN_OR_RETURN(result.graph, graph::ExtractSubGraph(std::move(result.graph), nodes));
  return result;
}

}  // namespace oriel::cli
