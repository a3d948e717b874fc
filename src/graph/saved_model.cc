#include "graph/saved_model.h"

#include <filesystem>
#include <set>

#include "graph/graph_util.h"
#include "graph/proto_file.h"

namespace oriel::graph {
namespace {

using tensorflow::MetaGraphDef;
using tensorflow::SavedModel;

// "a,b", in order and each once.
std::string JoinTags(const std::set<std::string>& tags) {
  return fmt::format("{}", fmt::join(tags, ","));
}

}  // namespace

absl::StatusOr<MetaGraphDef> ReadMetaGraphDef(const std::string& path, bool text) {
  MetaGraphDef meta_graph;
  RETURN_IF_ERROR(ReadMessage(path, text, meta_graph));
  return meta_graph;
}

absl::StatusOr<MetaGraphDef> FindMetaGraph(SavedModel model,
                                           const std::vector<std::string>& tags) {
  const std::set<std::string> wanted(tags.begin(), tags.end());
  std::vector<std::string> available;
  for (MetaGraphDef& meta_graph : *model.mutable_meta_graphs()) {
    const auto& tags = meta_graph.meta_info_def().tags();
    const std::set<std::string> have(tags.begin(), tags.end());
    if (have == wanted) return std::move(meta_graph);
    available.push_back(fmt::format("'{}'", JoinTags(have)));
  }
  return NotFound(
      "MetaGraphDef associated with tag-set {} could not be found in the SavedModel. "
      "Please use one of the following tag-sets: [{}]",
      JoinTags(wanted), fmt::join(available, ", "));
}

namespace {

struct ModelFile {
  std::string path;
  SavedModel model;
};

absl::StatusOr<ModelFile> ReadModelFile(const std::string& directory) {
  namespace fs = std::filesystem;
  for (const bool text : {false, true}) {
    const fs::path path =
        fs::path(directory) / (text ? "saved_model.pbtxt" : "saved_model.pb");
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    ModelFile file{path.string(), {}};
    RETURN_IF_ERROR(ReadMessage(file.path, text, file.model));
    return file;
  }
  return NotFound("SavedModel file does not exist at: {}", directory);
}

}  // namespace

absl::StatusOr<MetaGraphDef> ReadSavedModel(const std::string& directory,
                                            const std::vector<std::string>& tags) {
  ASSIGN_OR_RETURN(ModelFile file, ReadModelFile(directory));
  auto found = FindMetaGraph(std::move(file.model), tags);
  if (!found.ok()) return Annotate(found.status(), file.path);
  return found;
}

absl::StatusOr<MetaGraphDef> ReadDefaultSavedModel(const std::string& directory) {
  ASSIGN_OR_RETURN(ModelFile file, ReadModelFile(directory));
  auto& graphs = *file.model.mutable_meta_graphs();
  if (graphs.empty()) return InvalidArgument("{}: holds no graph", file.path);
  for (MetaGraphDef& meta_graph : graphs) {
    const auto& tags = meta_graph.meta_info_def().tags();
    if (tags.size() == 1 && tags[0] == "serve") return std::move(meta_graph);
  }
  return std::move(graphs[0]);
}

std::string SavedModelVariables(const std::string& directory) {
  return (std::filesystem::path(directory) / "variables" / "variables").string();
}

std::string InitNode(const MetaGraphDef& meta_graph) {
  constexpr const char* kSignature = "__saved_model_init_op";
  const auto signature = meta_graph.signature_def().find(kSignature);
  if (signature != meta_graph.signature_def().end()) {
    const auto output = signature->second.outputs().find(kSignature);
    if (output != signature->second.outputs().end()) {
      return std::string(ParseInput(output->second.name()).node);
    }
  }
  for (const char* key : {"saved_model_main_op", "legacy_init_op"}) {
    const auto collection = meta_graph.collection_def().find(key);
    if (collection == meta_graph.collection_def().end()) continue;
    const auto& nodes = collection->second.node_list();
    if (nodes.value_size() > 0) return std::string(ParseInput(nodes.value(0)).node);
  }
  return "";
}

}  // namespace oriel::graph
