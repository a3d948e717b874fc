#include "cli/runnable.h"

#include <filesystem>

#include "engine/dynamic_plan.h"
#include "engine/quantize/calibration.h"
#include "graph/ends.h"
#include "model/model_directory.h"

namespace oriel::cli {

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

engine::PlanOptions Runnable::NewOptions() const {
  engine::PlanOptions options;
  options.calibration = calibration;
  graph->SetUp(options);
  return options;
}

void SavePlanCache(const model::ModelGraph& graph) {
  const absl::Status status = graph.SaveCache();
  if (!status.ok())
    fmt::print(stderr, "no plan cache was written: {}\n", Message(status));
}

absl::StatusOr<Runnable> LoadRunnable(const RunnableSource& source,
                                      engine::Precision precision,
                                      engine::Backend backend,
                                      const model::PlanCacheOptions& plan_cache) {
  Runnable runnable;
  std::error_code error;
  if (std::filesystem::is_regular_file(source.model, error)) {
    ASSIGN_OR_RETURN(runnable.graph,
                     model::ModelGraph::OpenFile(source.model, source.text));
    if (runnable.graph->graph().node().empty()) {
      return InvalidArgument("{}: is a GraphDef without nodes", source.model);
    }
    graph::GraphEnds ends = graph::FindEnds(runnable.graph->graph());
    runnable.inputs = std::move(ends.inputs);
    runnable.string_inputs = engine::StringInputs(runnable.graph->graph());
    runnable.outputs = std::move(ends.outputs);
    return runnable;
  }
  ASSIGN_OR_RETURN(const model::ModelDirectory directory,
                   model::FindModel(source.model, source.model_dir));
  ASSIGN_OR_RETURN(const model::ModelFiles files,
                   model::ReadModelFiles(directory.path, {.graph = false}));
  if (precision == engine::Precision::kAuto) {
    precision = engine::ChoosePrecision(files.calibration.get()).precision;
  }
  ASSIGN_OR_RETURN(runnable.graph,
                   model::ModelGraph::Open(directory.path, files.config, precision,
                                           backend, plan_cache));
  runnable.calibration = files.calibration;
  runnable.inputs = {files.config.input};
  runnable.outputs = {files.config.predictions};
  return runnable;
}

}  // namespace oriel::cli
