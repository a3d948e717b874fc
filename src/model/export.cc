#include "model/export.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "base/digest.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "engine/evaluate.h"
#include "graph/freeze.h"
#include "graph/graph_util.h"
#include "graph/optimize.h"
#include "labels/labels.h"
#include "model/calibration_file.h"
#include "model/catalogue.h"
#include "model/model_directory.h"
#include "model/verify.h"
#include "nets/nets.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

// One step of the work: `log` gets its name and the time it took.
class Step {
 public:
  Step(std::string what, const StepLog& log)
      : what_(std::move(what)), log_(log), begin_(steady_clock::now()) {}
  void Done() const {
    const std::chrono::duration<double> elapsed = steady_clock::now() - begin_;
    log_(fmt::format("{} ({})", what_, FormatDuration(elapsed.count())));
  }

 private:
  std::string what_;
  const StepLog& log_;
  steady_clock::time_point begin_;
};

struct Labels {
  labels::Lines descriptions;
  labels::Lines wnids;  // may be empty
  int class_offset;
};

absl::StatusOr<Labels> ChooseLabels(const ExportOptions& options, int num_classes) {
  Labels chosen;
  const size_t wanted = static_cast<size_t>(num_classes);
  const bool imagenet = num_classes == 1000 || num_classes == 1001;
  const bool background = num_classes == 1001;
  if (options.labels) {
    ASSIGN_OR_RETURN(chosen.descriptions, labels::ReadDescriptions(*options.labels));
    if (chosen.descriptions.size() != wanted) {
      return InvalidArgument("{}: has {} lines, the model has {} classes",
                             options.labels->string(), chosen.descriptions.size(),
                             num_classes);
    }
  } else if (imagenet) {
    chosen.descriptions = labels::ImagenetDescriptions(background);
  } else {
    return InvalidArgument(
        "the model has {} classes, which are not ImageNet's: --labels FILE, with a line "
        "for each, names them",
        num_classes);
  }
  if (options.wnids) {
    ASSIGN_OR_RETURN(chosen.wnids, labels::ReadWnids(*options.wnids));
    if (chosen.wnids.size() != wanted) {
      return InvalidArgument("{}: has {} lines, the model has {} classes",
                             options.wnids->string(), chosen.wnids.size(), num_classes);
    }
  } else if (!options.labels) {
    chosen.wnids = labels::ImagenetWnids(background);
  }
  chosen.class_offset = chosen.descriptions[0] == "background" ? 1 : 0;
  return chosen;
}

// The graph of the network, its weights in it, ready to run.
absl::StatusOr<tensorflow::GraphDef> BuildInferenceGraph(const nets::Network& network,
                                                         const VariableSource& variables,
                                                         const ExportOptions& options,
                                                         const StepLog& log) {
  std::vector<std::string> outputs = {network.logits, network.predictions};
  if (network.aux_predictions) outputs.push_back(*network.aux_predictions);
  if (!network.features.empty()) outputs.push_back(network.features);
  const Step freeze("variables are constants", log);
  graph::FreezeOptions freeze_options;
  freeze_options.output_node_names = outputs;
  ASSIGN_OR_RETURN(auto graph,
                   graph::FreezeGraph(network.graph, variables, freeze_options));
  freeze.Done();
  RETURN_IF_ERROR(CheckInterrupted());

  const int nodes = graph.node_size();
  const Step optimize("graph is optimized", log);
  graph::OptimizeOptions optimize_options;
  optimize_options.input_names = {network.input};
  optimize_options.output_names = outputs;
  optimize_options.evaluate = engine::EvaluateNode;
  if (options.verbose) {
    optimize_options.on_pass = [&log](const graph::PassReport& report) {
      log(fmt::format("  {}: {} changes, {} -> {} nodes ({:.0f} ms)", report.name,
                      report.changes, report.nodes_before, report.nodes_after,
                      report.seconds * 1000));
    };
  }
  ASSIGN_OR_RETURN(graph,
                   graph::OptimizeForInference(std::move(graph), optimize_options));
  optimize.Done();
  log(fmt::format("  {} -> {} nodes", nodes, graph.node_size()));
  return graph;
}

// Told before anything is fetched: files that cannot be read, a place that cannot be
// written to.
absl::Status CheckPaths(const ExportOptions& options) {
  if (options.labels) {
    RETURN_IF_ERROR(labels::ReadDescriptions(*options.labels).status());
    if (options.num_classes != 0) {
      RETURN_IF_ERROR(ChooseLabels(options, options.num_classes).status());
    }
  }
  if (options.wnids) RETURN_IF_ERROR(labels::ReadWnids(*options.wnids).status());
  std::error_code error;
  fs::path existing = fs::absolute(options.output_dir);
  while (!fs::exists(existing, error) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  if (!fs::is_directory(existing, error)) {
    return InvalidArgument("{}: is not a directory", existing.string());
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return ErrnoError(errno, existing.string());
  }
  return absl::OkStatus();
}

ModelConfig MakeConfig(const CatalogueEntry& entry, const nets::Network& network,
                       const Weights& weights, int class_offset) {
  ModelConfig config;
  config.title = entry.title;
  config.input = network.input;
  config.logits = network.logits;
  config.predictions = network.predictions;
  config.aux_predictions = network.aux_predictions;
  if (!network.features.empty()) config.features = network.features;
  config.height = network.height;
  config.width = network.width;
  config.num_classes = network.num_classes;
  config.class_offset = class_offset;
  config.preprocessing.preset = network.preprocessing;
  config.provenance.network = entry.name;
  config.provenance.source = weights.source();
  config.provenance.checkpoint_sha256 = weights.sha256();
  return config;
}

// Puts the catalogue's calibration beside the model.pb that it is of.
absl::Status WriteShippedCalibration(const CatalogueEntry& entry,
                                     const std::string& model_sha256,
                                     const fs::path& directory, const StepLog& log) {
  if (entry.calibration == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const CalibrationFile file,
                   ParseCalibration(*entry.calibration, "the calibration that ships"));
  if (file.model_sha256 != model_sha256) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFileAtomically(directory / kCalibrationFile, *entry.calibration));
  log("the calibration that ships with Oriel fits: int8 can be used");
  return absl::OkStatus();
}

// Whether the weights are those that the catalogue's licence, accuracy and known
// answer speak of.
bool IsPublished(const ExportOptions& options) {
  return !options.checkpoint && !options.url;
}

}  // namespace

absl::StatusOr<Exported> ExportModel(const ExportOptions& options, const StepLog& log) {
  ASSIGN_OR_RETURN(const CatalogueEntry* entry, FindInCatalogue(options.name));
  if (options.checkpoint && options.url) {
    return InvalidArgument("--checkpoint and --url are both given, want one of them");
  }
  if (options.hash && IsPublished(options)) {
    return InvalidArgument("--hash goes with --url or --checkpoint");
  }
  RETURN_IF_ERROR(CheckPaths(options));

  const Step get("weights are read", log);
  WeightsRequest request;
  request.entry = entry;
  request.checkpoint = options.checkpoint;
  request.url = options.url;
  request.hash = options.hash;
  request.cache_dir = options.cache_dir
                          ? *options.cache_dir
                          : DefaultCacheDirectory(options.output_dir / ".cache");
  request.download = options.download;
  request.quiet = options.quiet;
  ASSIGN_OR_RETURN(Weights weights, Weights::Get(request, log));
  const auto adapted = nets::AdaptCheckpoint(entry->name, weights.variables());
  if (!adapted.ok()) return Annotate(adapted.status(), weights.path().string());
  const VariableSource& variables = **adapted;
  log(fmt::format("{}: {}, {} variables", weights.path().filename().string(),
                  weights.variables()->format(),
                  weights.variables()->variables().size()));
  get.Done();

  const auto classes = nets::CheckpointClasses(entry->name, variables);
  if (!classes.ok()) return Annotate(classes.status(), weights.path().string());
  if (options.num_classes != 0 && options.num_classes != *classes) {
    return InvalidArgument("--num-classes is {}, the checkpoint has {} classes",
                           options.num_classes, *classes);
  }
  ASSIGN_OR_RETURN(const Labels chosen, ChooseLabels(options, *classes));

  nets::NetworkOptions network_options;
  network_options.num_classes = *classes;
  network_options.image_size = options.image_size;
  // The head's last convolution covers its whole map, so that it fits the
  // network's own image size alone.
  network_options.create_aux_logits = options.image_size == 0 &&
                                      !entry->aux_biases.empty() &&
                                      variables.Find(entry->aux_biases) != nullptr;
  network_options.saver = false;
  ASSIGN_OR_RETURN(const nets::Network network,
                   nets::BuildNetwork(entry->name, network_options));
  ASSIGN_OR_RETURN(const tensorflow::GraphDef graph,
                   BuildInferenceGraph(network, variables, options, log));
  RETURN_IF_ERROR(CheckInterrupted());

  Exported exported;
  exported.directory =
      options.output_dir / entry->name / fmt::format("{}", options.version);
  exported.config = MakeConfig(*entry, network, weights, chosen.class_offset);
  if (IsPublished(options)) {
    exported.config.provenance.license = entry->license;
    exported.config.provenance.accuracy = entry->accuracy;
  }

  const Step write("model is written", log);
  ASSIGN_OR_RETURN(AtomicDirectory directory,
                   AtomicDirectory::Create(exported.directory));
  const fs::path graph_path = directory.path() / kGraphFile;
  RETURN_IF_ERROR(graph::WriteGraphDef(graph, graph_path.string()));
  ASSIGN_OR_RETURN(exported.config.model_sha256,
                   FileHexDigest(DigestKind::kSha256, graph_path));
  RETURN_IF_ERROR(WriteFileAtomically(directory.path() / kDescriptionsFile,
                                      labels::FormatLines(chosen.descriptions)));
  if (!chosen.wnids.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(directory.path() / kWnidsFile,
                                        labels::FormatLines(chosen.wnids)));
  }
  RETURN_IF_ERROR(WriteFileAtomically(directory.path() / kConfigFile,
                                      FormatModelConfig(exported.config)));
  RETURN_IF_ERROR(WriteShippedCalibration(*entry, exported.config.model_sha256,
                                          directory.path(), log));
  write.Done();
  RETURN_IF_ERROR(CheckInterrupted());

  const bool has_known = IsPublished(options) && options.image_size == 0;
  const Step verify(entry->known_answer && has_known
                        ? "model gives the known answer"
                        : "model runs, its probabilities are sound",
                    log);
  RETURN_IF_ERROR(
      VerifyModel(directory.path(), has_known ? entry->known_answer : std::nullopt));
  verify.Done();
  RETURN_IF_ERROR(CheckInterrupted());
  RETURN_IF_ERROR(directory.Commit());
  if (options.keep_checkpoint) {
    ASSIGN_OR_RETURN(exported.checkpoint, weights.Keep());
  }
  return exported;
}

}  // namespace oriel::model
