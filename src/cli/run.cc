// `oriel run`: feeds and fetches raw tensors of any node.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>

#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/named_file.h"
#include "cli/runnable.h"
#include "engine/dynamic_plan.h"
#include "engine/plan.h"
#include "graph/ends.h"
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
void PrintSummary(const std::string& name, const Tensor& value) {
  fmt::print("{}  {}{}", name, DTypeName(value.dtype()), value.shape().ToString());
  if (value.dtype() == DType::kFloat32 && value.elements() > 0) {
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

constexpr uint64_t kMaxImageBytes = uint64_t{256} << 20;

// What an input flag feeds: an array, or for an input of strings a file's bytes.
absl::StatusOr<Tensor> ReadInput(const NamedFile& input, const Runnable& runnable) {
  const auto& strings = runnable.string_inputs;
  if (std::find(strings.begin(), strings.end(), input.name) == strings.end()) {
    return ReadNpy(input.file);
  }
  ASSIGN_OR_RETURN(const Shape shape,
                   engine::StringInputShape(runnable.graph->graph(), input.name));
  Tensor value(DType::kString, shape);
  ASSIGN_OR_RETURN(value.mutable_strings()[0], ReadFile(input.file, kMaxImageBytes));
  return value;
}

// What was fed, fetched and found.
struct Result {
  std::vector<Tensor> outputs;
  double run_seconds = 0;
  std::optional<engine::PlanStats> stats;  // of the network, where there is one
};

// Times of `run` with its result.
template <typename Function>
absl::Status Timed(Result& result, const Function& run) {
  const auto begin = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(run());
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  result.run_seconds = elapsed.count();
  return absl::OkStatus();
}

absl::StatusOr<Result> RunStatic(const Runnable& runnable, const std::string& file,
                                 const engine::PlanOptions& options,
                                 const std::vector<Tensor>& inputs) {
  const auto compiled = engine::Plan::Compile(runnable.graph->graph(), options);
  if (!compiled.ok()) return Annotate(compiled.status(), file);
  const engine::Plan& plan = **compiled;
  if (plan.inputs().size() > inputs.size()) {
    return InvalidArgument("{}: input '{}' ({}{}) is missing: --input NAME=FILE", file,
                           plan.inputs()[inputs.size()].name,
                           DTypeName(plan.inputs()[inputs.size()].dtype),
                           plan.inputs()[inputs.size()].shape.ToString());
  }
  Result result{.outputs = engine::MakeTensors(plan.outputs()), .stats = plan.stats()};
  const auto context = plan.NewContext();
  RETURN_IF_ERROR(
      Timed(result, [&] { return plan.Run(*context, inputs, result.outputs); }));
  return result;
}

// A graph that decodes what it is fed.
absl::StatusOr<Result> RunDynamic(const Runnable& runnable, const std::string& file,
                                  const engine::PlanOptions& options,
                                  const std::vector<Tensor>& inputs) {
  const auto plan = engine::DynamicPlan::Create(runnable.graph->graph(), options);
  if (!plan.ok()) return Annotate(plan.status(), file);
  Result result;
  RETURN_IF_ERROR(Timed(result, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(result.outputs, (*plan)->Run(inputs));
    return absl::OkStatus();
  }));
  if ((*plan)->plan() != nullptr) result.stats = (*plan)->plan()->stats();
  return result;
}

absl::Status Report(const Flags& flags, const std::vector<std::string>& files,
                    const engine::PlanOptions& options, const Result& result) {
  for (size_t i = 0; i < files.size(); ++i) {
    RETURN_IF_ERROR(WriteNpy(files[i], result.outputs[i]));
  }
  if (files.empty()) {
    for (size_t i = 0; i < result.outputs.size(); ++i) {
      PrintSummary(options.outputs[i], result.outputs[i]);
    }
  }
  if (flags.verbose && result.stats) PrintStats(*result.stats, result.run_seconds);
  return absl::OkStatus();
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
  bool strings = false;
  for (const std::string& text : flags.inputs) {
    ASSIGN_OR_RETURN(const NamedFile input,
                     ParseNamedFile(text, "--input", runnable.inputs));
    ASSIGN_OR_RETURN(Tensor value, ReadInput(input, runnable));
    strings = strings || value.dtype() == DType::kString;
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
      return Annotate(graph::NoOutputs(runnable.graph->graph()), flags.source.model);
    }
    options.outputs = runnable.outputs;
  }
  const auto run = strings ? RunDynamic : RunStatic;
  ASSIGN_OR_RETURN(const Result result,
                   run(runnable, flags.source.model, options, inputs));
  RETURN_IF_ERROR(Report(flags, files, options, result));
  if (flags.verbose) fmt::print(stderr, "{}\n", runnable.graph->cache_report());
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
                  "where there is one input. An input that takes the bytes of an image "
                  "(a string) is fed with the file as it is")
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
