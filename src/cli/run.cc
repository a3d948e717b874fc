// `oriel run`: feeds and fetches raw tensors of any node.

#include <chrono>
#include <cmath>
#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/named_file.h"
#include "cli/runnable.h"
#include "engine/plan.h"
#include "tensor/npy.h"

namespace oriel::cli {
namespace {

struct Flags {
  RunnableSource source;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  engine::Backend backend = engine::Backend::kAuto;
  engine::Precision precision = engine::Precision::kF32;
  int threads = 0;
  model::PlanCacheOptions plan_cache;
  bool verbose = false;
};

// One line for people: name, type, shape and what the values look like.
void PrintSummary(const engine::TensorSpec& spec, const Tensor& value) {
  fmt::print("{}  {}{}", spec.name, DTypeName(spec.dtype), spec.shape.ToString());
  if (spec.dtype == DType::kFloat32 && value.elements() > 0) {
    double sum = 0, squares = 0;
    float least = value.data<float>()[0], most = least;
    for (const float v : value.data<float>()) {
      sum += v;
      squares += static_cast<double>(v) * v;
      least = std::min(least, v);
      most = std::max(most, v);
    }
    const auto count = static_cast<double>(value.elements());
    const double mean = sum / count;
    fmt::print("  mean {:.6g}  std {:.6g}  min {:.6g}  max {:.6g}", mean,
               std::sqrt(std::max(squares / count - mean * mean, 0.0)), least, most);
  }
  fmt::print("\n");
}

void PrintStats(const engine::PlanStats& stats, double run_seconds) {
  fmt::print(
      stderr,
      "{}: {} nodes, {} steps; activations {} in an arena of {}, weights {}; compiled "
      "in {:.1f} ms, ran in {:.1f} ms\n",
      engine::PrecisionName(stats.precision), stats.nodes, stats.steps,
      FormatBytes(stats.activation_bytes), FormatBytes(stats.arena_bytes),
      FormatBytes(stats.weight_bytes), stats.compile_seconds * 1e3, run_seconds * 1e3);
}

absl::StatusOr<int> Run(const Flags& flags) {
  WarnOfPrecision(flags.precision);
  ASSIGN_OR_RETURN(
      const Runnable runnable,
      LoadRunnable(flags.source, flags.precision, flags.backend, flags.plan_cache));
  engine::PlanOptions options = runnable.NewOptions();
  options.backend = flags.backend;
  options.threads = flags.threads;
  options.precision = flags.precision;
  std::vector<Tensor> inputs;
  for (const std::string& text : flags.inputs) {
    ASSIGN_OR_RETURN(const NamedFile input,
                     ParseNamedFile(text, "--input", runnable.inputs));
    ASSIGN_OR_RETURN(Tensor value, ReadNpy(input.file));
    options.inputs.emplace_back(input.name, value.shape());
    inputs.push_back(std::move(value));
  }
  std::vector<std::string> files;
  for (const std::string& text : flags.outputs) {
    ASSIGN_OR_RETURN(const NamedFile output,
                     ParseNamedFile(text, "--output", runnable.outputs));
    options.outputs.push_back(output.name);
    files.push_back(output.file);
  }
  if (options.outputs.empty()) {
    if (runnable.outputs.empty()) {
      return InvalidArgument("{}: has no outputs, name some with --output NAME=FILE",
                             flags.source.model);
    }
    options.outputs = runnable.outputs;
  }
  const auto compiled = engine::Plan::Compile(runnable.graph->graph(), options);
  if (!compiled.ok()) return Annotate(compiled.status(), flags.source.model);
  const engine::Plan& plan = **compiled;
  if (plan.inputs().size() > inputs.size()) {
    return InvalidArgument("{}: input '{}' ({}{}) is missing: --input NAME=FILE",
                           flags.source.model, plan.inputs()[inputs.size()].name,
                           DTypeName(plan.inputs()[inputs.size()].dtype),
                           plan.inputs()[inputs.size()].shape.ToString());
  }
  std::vector<Tensor> outputs = engine::MakeTensors(plan.outputs());
  const auto context = plan.NewContext();
  const auto begin = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(plan.Run(*context, inputs, outputs));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  for (size_t i = 0; i < files.size(); ++i) {
    RETURN_IF_ERROR(WriteNpy(files[i], outputs[i]));
  }
  if (files.empty()) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      PrintSummary(plan.outputs()[i], outputs[i]);
    }
  }
  if (flags.verbose) {
    PrintStats(plan.stats(), elapsed.count());
    fmt::print(stderr, "{}\n", runnable.graph->cache_report());
  }
  std::fflush(stdout);
  SavePlanCache(*runnable.graph);
  return 0;
}

}  // namespace

Action SetupRun(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddRunnableOptions(command, flags->source);
  command
      .add_option("--input", flags->inputs,
                  "NAME=FILE.npy: feed a tensor of any node; the name may be left out "
                  "where there is one input")
      ->allow_extra_args(false);
  command
      .add_option("--output", flags->outputs,
                  "NAME=FILE.npy: fetch a tensor of any node; without any, the "
                  "model's predictions (a graph's last nodes) are summed up here")
      ->allow_extra_args(false);
  AddPrecisionOption(command, flags->precision);
  command.add_flag("--verbose", flags->verbose, "Tell what the plan is like, and times");
  AddBackendOption(command, flags->backend);
  AddThreadsOption(command, flags->threads);
  AddPlanCacheOption(command, flags->plan_cache);
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
