// A graph made ready to be compiled without reading its weights, and what earlier
// processes have made of them: the plan cache.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"
#include "engine/choices.h"
#include "engine/constant_source.h"
#include "engine/plan.h"
#include "model/model_config.h"
#include "model/plan_cache_file.h"
#include "tensorflow/graph.pb.h"

namespace oriel::model {

struct PlanCacheOptions {
  bool enabled = true;
  // Where the file lies. Empty: beside the model; where one may not write there, in the
  // user's cache directory ($XDG_CACHE_HOME/oriel, else ~/.cache/oriel).
  std::filesystem::path directory;
  // Reads all packed weights when the file is opened and checks them, for a process
  // that is to run for long. Without it their bytes are trusted: the file was written
  // whole and synced, by this user or root, and nobody else may write to it.
  bool verify = false;
};

// Not thread-safe, but for what it hands out.
class ModelGraph {
 public:
  // The graph of an exported model for plans of one precision and backend. Takes it
  // from the plan cache where that is of this very program, CPU and model.pb; otherwise
  // from model.pb, whose SHA-256 has to be `config`'s (kDataLoss).
  static absl::StatusOr<std::unique_ptr<ModelGraph>> Open(
      const std::filesystem::path& version_directory, const ModelConfig& config,
      engine::Precision precision, engine::Backend backend,
      const PlanCacheOptions& options);
  // A GraphDef file, binary or text, without a cache.
  static absl::StatusOr<std::unique_ptr<ModelGraph>> OpenFile(
      const std::filesystem::path& path, bool text);
  ~ModelGraph();

  // Without the contents of its large constants: for Plan::Compile with options that
  // SetUp has seen, and for looking at its nodes.
  const tensorflow::GraphDef& graph() const { return graph_; }
  // Sets constants, weights and choices: the same for all plans of the graph.
  void SetUp(engine::PlanOptions& options) const;

  // Writes the cache if plans were compiled from more than it has. Best called when the
  // first answer is out: it takes as long as the disk takes for the packed weights.
  // Where it cannot be written, the error; the plans are none the worse for it.
  absl::Status SaveCache() const;
  // Whether SaveCache would find a place, for work that is of no use without: before it.
  absl::Status CheckCacheCanBeSaved() const;
  // For people: which cache was used, or why none.
  const std::string& cache_report() const { return report_; }

 private:
  ModelGraph();
  absl::Status ReadGraph(std::string text, std::vector<graph::ContentPlace> contents,
                         const std::filesystem::path& file);
  absl::Status LoadCache(const std::filesystem::path& path,
                         const std::filesystem::path& model_file,
                         const ModelConfig& config, bool verify);
  void AddOthers(const PlanCacheContents& others, PlanCacheContents& cache) const;
  absl::Status SaveTo(const std::filesystem::path& path, PlanCacheContents cache) const;

  tensorflow::GraphDef graph_;
  std::shared_ptr<const engine::ConstantSource> constants_;  // null: all are in graph_
  std::shared_ptr<engine::WeightStore> weights_;
  std::shared_ptr<engine::Choices> choices_;

  // Of the cache; no candidates: there is none.
  std::vector<std::filesystem::path> candidates_;  // where the file may lie, best first
  engine::Choices::Entries loaded_choices_;        // of the file that was read
  std::string fingerprint_;
  FileStamp stamp_;         // of model.pb
  std::string serialized_;  // graph_
  std::vector<graph::ContentPlace> contents_;
  bool outdated_ = false;  // the file that was read is to be written anew
  std::string report_;
};

}  // namespace oriel::model
