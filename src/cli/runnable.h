// What `run` and `bench` take: a GraphDef file or an exported model.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/quantize/calibration.h"
#include "model/model_graph.h"

namespace oriel::cli {

struct RunnableSource {
  std::string model;  // a file, the name of a model, or the path of its directory
  std::string model_dir = "models";
  bool text = false;  // the file is a text GraphDef
};

// The positional `model`, --model-dir and --text.
void AddRunnableOptions(CLI::App& command, RunnableSource& source);

// A graph, and what is fed and fetched when the flags do not say: a model's input and
// predictions, a graph's placeholders and the nodes that nobody reads.
struct Runnable {
  std::unique_ptr<model::ModelGraph> graph;
  std::vector<std::string> inputs;
  std::vector<std::string> string_inputs;  // those of them that take an image's bytes
  std::vector<std::string> outputs;
  std::shared_ptr<const engine::Calibration> calibration;  // of a model that has one

  // What plans of this graph have in common.
  engine::PlanOptions NewOptions() const;
};
absl::StatusOr<Runnable> LoadRunnable(const RunnableSource& source,
                                      engine::Precision precision,
                                      engine::Backend backend,
                                      const model::PlanCacheOptions& plan_cache);

// Keeps what was compiled; where that cannot be, says so on stderr.
void SavePlanCache(const model::ModelGraph& graph);

}  // namespace oriel::cli
