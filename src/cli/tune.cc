// oriel tune: the fastest kernels for this machine, kept in the model's plan cache.

#include "engine/benchmark/tune.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

#include "base/cpus.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "model/model_directory.h"
#include "model/model_graph.h"

namespace oriel::cli {
namespace {

struct Flags {
  std::string model;
  std::string model_dir = "models";
  std::vector<int> batches = {1};
  std::vector<int> threads = {0};
  int runs = 7;
  engine::Precision precision = engine::Precision::kF32;
  model::PlanCacheOptions plan_cache;
};

// One batch size and number of threads.
absl::Status TunePlan(const Flags& flags, const model::ModelGraph& graph,
                      const engine::PlanOptions& options, int batch) {
  const std::string what =
      fmt::format("Tuning batch {}, {} threads", batch, options.threads);
  std::unique_ptr<Progress> progress;
  ASSIGN_OR_RETURN(
      const engine::TuneResult result,
      engine::Tune(
          graph.graph(),
          {.plan = options, .runs = flags.runs, .progress = [&](int round, int n) {
             if (!progress) {
               progress = std::make_unique<Progress>(what, ProgressUnit::kItems, n);
             }
             progress->Update(round - 1);
           }}));
  if (progress) progress->Finish();
  if (result.choices == 0) {
    fmt::print(
        "batch {}, {} threads: nothing to choose, oneDNN computes this plan's "
        "convolutions\n",
        batch, options.threads);
    return absl::OkStatus();
  }
  fmt::print(
      "batch {}, {} threads: {} of {} convolutions changed, {:.2f} ms -> {:.2f} ms"
      " a run ({:.2f}x)\n",
      batch, options.threads, result.changed, result.choices, result.seconds_before * 1e3,
      result.seconds_after * 1e3, result.seconds_before / result.seconds_after);
  // With the choices: what the next start finds packed.
  RETURN_IF_ERROR(engine::Plan::Compile(graph.graph(), options).status());
  return graph.SaveCache();
}

absl::Status TuneAll(const Flags& flags, const model::ModelConfig& config,
                     const model::ModelGraph& graph, engine::PlanOptions options) {
  for (const int threads : flags.threads) {
    options.threads = threads > 0 ? threads : AvailableCpus();
    for (const int batch : flags.batches) {
      options.inputs = {
          {config.input, Shape({batch, config.height, config.width, int64_t{3}})}};
      RETURN_IF_ERROR(TunePlan(flags, graph, options, batch));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run(const Flags& flags) {
  if (!flags.plan_cache.enabled) {
    return InvalidArgument("tune keeps what it finds in the plan cache, which is off");
  }
  ASSIGN_OR_RETURN(const model::ModelDirectory directory,
                   model::FindModel(flags.model, flags.model_dir));
  ASSIGN_OR_RETURN(const model::ModelFiles files,
                   model::ReadModelFiles(directory.path, {.graph = false}));
  engine::PlanOptions options;
  options.precision = flags.precision;
  if (options.precision == engine::Precision::kAuto) {
    options.precision = engine::ChoosePrecision(files.calibration.get()).precision;
  }
  if (options.precision != engine::Precision::kF32 &&
      options.precision != engine::Precision::kF32Exact) {
    return FailedPrecondition("{} has one kernel for each operation: nothing to tune",
                              engine::PrecisionName(options.precision));
  }
  options.calibration = files.calibration;
  options.outputs = {files.config.predictions};
  ASSIGN_OR_RETURN(const auto graph, model::ModelGraph::Open(
                                         directory.path, files.config, options.precision,
                                         options.backend, flags.plan_cache));
  graph->SetUp(options);
  RETURN_IF_ERROR(graph->CheckCacheCanBeSaved());
  RETURN_IF_ERROR(TuneAll(flags, files.config, *graph, options));
  return 0;
}

}  // namespace

Action SetupTune(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(command, flags->model, flags->model_dir);
  command.add_option("--batch", flags->batches, "Images of one run; 1,8 tunes for each")
      ->delimiter(',')
      ->default_str("1")
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--threads", flags->threads,
                  "Threads of one run; 0: the CPUs that the process may use; 0,1 tunes "
                  "for each")
      ->delimiter(',')
      ->default_str("0")
      ->check(CLI::Range(0, 1024));
  command
      .add_option("--runs", flags->runs,
                  "Of both plans that are compared, for each candidate")
      ->capture_default_str()
      ->check(CLI::Range(3, 1000));
  AddPrecisionOption(command, flags->precision);
  AddPlanCacheOption(command, flags->plan_cache);
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
