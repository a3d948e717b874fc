// `oriel inspect`: what is in a checkpoint, a graph or a file of records.

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "cli/commands.h"
#include "cli/input_shapes.h"
#include "cli/inspect_graph.h"
#include "cli/inspect_records.h"
#include "cli/inspect_saved_model.h"
#include "cli/json_text.h"
#include "cli/table.h"
#include "graph/graph_util.h"
#include "graph/saved_model.h"
#include "model/model_directory.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;

struct Flags {
  std::string path;
  bool as_json = false;
  InspectGraphOptions graph;
};

// Strings are not counted: their sizes are known only to who reads them.
int64_t ByteCount(const VariableInfo& info) {
  return info.shape.elements() * static_cast<int64_t>(ElementSize(info.dtype));
}

void PrintCheckpoint(const VariableSource& source, const Flags& flags) {
  int64_t parameters = 0;
  int64_t bytes = 0;
  bool any_slices = false;
  for (const VariableInfo& info : source.variables()) {
    if (info.dtype != DType::kString) parameters += info.shape.elements();
    bytes += ByteCount(info);
    any_slices |= info.slices > 1;
  }
  if (flags.as_json) {
    json::array tensors;
    for (const VariableInfo& info : source.variables()) {
      json::object tensor{{"name", info.name},
                          {"dtype", JsonText(DTypeName(info.dtype))},
                          {"shape", JsonShape(info.shape)},
                          {"slices", info.slices}};
      // null: not known without reading them
      tensor["bytes"] =
          info.dtype == DType::kString ? json::value() : json::value(ByteCount(info));
      tensors.push_back(std::move(tensor));
    }
    const int64_t count = static_cast<int64_t>(tensors.size());
    const json::object report{
        {"kind", "checkpoint"},
        {"path", flags.path},
        {"format", JsonText(source.format())},
        {"tensors", std::move(tensors)},
        {"totals", {{"tensors", count}, {"parameters", parameters}, {"bytes", bytes}}}};
    fmt::print("{}\n", json::serialize(report));
    return;
  }
  Table table({false, false, false, true});
  table.Add({"NAME", "DTYPE", "SHAPE", any_slices ? "SLICES" : ""});
  for (const VariableInfo& info : source.variables()) {
    table.Add({info.name, std::string(DTypeName(info.dtype)), info.shape.ToString(),
               any_slices ? std::to_string(info.slices) : ""});
  }
  table.Print();
  fmt::print("\n{}: {} tensors, {} parameters, {} bytes\n", source.format(),
             Grouped(static_cast<int64_t>(source.variables().size())),
             Grouped(parameters), Grouped(bytes));
}

// A model's directory, or that of one of its versions, stands for its graph.
std::string GraphIn(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return path;
  // With a '/', so that it is no name.
  const auto model = model::FindModel((std::filesystem::path(path) / "").string(), "");
  return model.ok() ? (model->path / model::kGraphFile).string() : path;
}

// The graph in a file, and what the file is.
struct FoundGraph {
  tensorflow::GraphDef graph;
  std::string encoding;
};

absl::StatusOr<FoundGraph> ReadGraph(const std::string& path) {
  auto found = graph::ReadGraphDefOfEitherEncoding(path);
  if (found.ok()) {
    return FoundGraph{std::move(found->graph),
                      found->text ? "text GraphDef" : "binary GraphDef"};
  }
  if (!absl::IsInvalidArgument(found.status())) return found.status();
  for (const bool text : {false, true}) {
    auto meta_graph = graph::ReadMetaGraphDef(path, text);
    if (!meta_graph.ok() || meta_graph->graph_def().node().empty()) continue;
    return FoundGraph{std::move(*meta_graph->mutable_graph_def()),
                      text ? "text MetaGraphDef" : "binary MetaGraphDef"};
  }
  return InvalidArgument(
      "{}: is neither a checkpoint (TensorFlow V1 or V2, PyTorch, safetensors, HDF5) "
      "nor a GraphDef or MetaGraphDef, binary or text, nor a TFRecord file",
      path);
}

absl::StatusOr<int> InspectSavedModel(const Flags& flags) {
  ASSIGN_OR_RETURN(const SavedModelGraph model, ReadSavedModelGraph(flags.path));
  InspectGraphOptions options = flags.graph;
  options.path = flags.path;
  options.json = flags.as_json;
  options.encoding = model.signature.empty()
                         ? "SavedModel without signature"
                         : fmt::format("SavedModel, signature '{}'", model.signature);
  if (options.outputs.empty()) options.outputs = model.outputs;
  RETURN_IF_ERROR(InspectGraph(model.graph, options));
  return 0;
}

absl::StatusOr<int> Inspect(const Flags& flags) {
  if (IsSavedModel(flags.path)) return InspectSavedModel(flags);
  const std::string path = GraphIn(flags.path);
  ASSIGN_OR_RETURN(const checkpoint::Format format, checkpoint::Detect(path));
  if (format != checkpoint::Format::kUnknown) {
    ASSIGN_OR_RETURN(const auto source, checkpoint::Open(path));
    PrintCheckpoint(*source, flags);
    return 0;
  }
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  if (IsTfRecord(file->bytes())) {
    RETURN_IF_ERROR(InspectRecords(file->bytes(), path, flags.as_json));
    return 0;
  }
  ASSIGN_OR_RETURN(const FoundGraph found, ReadGraph(path));
  InspectGraphOptions options = flags.graph;
  options.path = path;
  options.json = flags.as_json;
  options.encoding = found.encoding;
  RETURN_IF_ERROR(InspectGraph(found.graph, options));
  return 0;
}

}  // namespace

Action SetupInspect(CLI::App& command) {
  const auto flags = std::make_shared<Flags>();
  command
      .add_option(
          "FILE", flags->path,
          "A checkpoint (file, V2 prefix, V1 shards), a GraphDef or MetaGraphDef, the "
          "directory of a model or a SavedModel, or a TFRecord file")
      ->required();
  command.add_flag("--json", flags->as_json, "Print one line of JSON instead of a table");
  InspectGraphOptions& graph = flags->graph;
  command
      .add_option("--batch", graph.batch,
                  "Of a graph: images for shapes and multiply-adds")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  AddShapeOption(command, graph.shapes);
  command
      .add_option(
          "--output", graph.outputs,
          "Of a graph: look at what this node needs; any number of times (default: "
          "the values that nobody reads)")
      ->allow_extra_args(false);
  command.add_flag("--all", graph.all,
                   "Of a graph: list every operation, not only those with parameters or "
                   "multiply-adds");
  command
      .add_flag("--dot", graph.dot, "Draw a graph in Graphviz's language: | dot -Tsvg")
      ->excludes("--json");
  return [flags] { return Inspect(*flags); };
}

}  // namespace oriel::cli
