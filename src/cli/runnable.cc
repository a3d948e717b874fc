#include "cli/runnable.h"

#include <filesystem>
#include <unordered_set>

#include "graph/graph_util.h"
#include "model/model_directory.h"

namespace oriel::cli {
namespace {

// The placeholders, and the nodes that nobody reads.
void FindEnds(Runnable& runnable) {
  std::unordered_set<std::string_view> read;
  for (const tensorflow::NodeDef& node : runnable.graph.node()) {
    for (const std::string& input : node.input()) {
      read.insert(graph::ParseInput(input).node);
    }
  }
  for (const tensorflow::NodeDef& node : runnable.graph.node()) {
    if (node.op() == "Placeholder") {
      runnable.inputs.push_back(node.name());
    } else if (!read.contains(node.name()) && node.op() != "Const" &&
               node.op() != "NoOp") {
      runnable.outputs.push_back(node.name());
    }
  }
}

}  // namespace

void AddRunnableOptions(CLI::App& command, RunnableSource& source) {
  command
      .add_option("model", source.model,
                  "A frozen GraphDef file, the name of an exported model, or the path of "
                  "its directory")
      ->required();
  command.add_option("--model-dir", source.model_dir, "Where models are exported to")
      ->capture_default_str();
  command.add_flag("--text", source.text, "The GraphDef is a text file");
}

absl::StatusOr<Runnable> LoadRunnable(const RunnableSource& source) {
  Runnable runnable;
  std::error_code error;
  if (std::filesystem::is_regular_file(source.model, error)) {
    ASSIGN_OR_RETURN(runnable.graph, graph::ReadGraphDef(source.model, source.text));
    if (runnable.graph.node().empty()) {
      return InvalidArgument("{}: is a GraphDef without nodes", source.model);
    }
    FindEnds(runnable);
    return runnable;
  }
  ASSIGN_OR_RETURN(const model::ModelDirectory directory,
                   model::FindModel(source.model, source.model_dir));
  ASSIGN_OR_RETURN(const model::ModelFiles files, model::ReadModelFiles(directory.path));
  ASSIGN_OR_RETURN(runnable.graph, graph::ParseGraphDef(files.graph->bytes(),
                                                        files.graph->path().string()));
  runnable.calibration = files.calibration;
  runnable.inputs = {files.config.input};
  runnable.outputs = {files.config.predictions};
  return runnable;
}

}  // namespace oriel::cli
