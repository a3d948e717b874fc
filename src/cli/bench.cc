// `oriel bench`: how fast a network runs here, and where its time goes.

#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <span>
#include <utility>

#include "base/cpus.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/input_shapes.h"
#include "cli/json_text.h"
#include "cli/runnable.h"
#include "cli/validators.h"
#include "engine/benchmark/measure.h"
#include "engine/benchmark/peak.h"
#include "graph/ends.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;

struct Flags {
  RunnableSource source;
  std::vector<int> batches = {1};
  std::vector<int> streams = {1};
  bool no_pin = false;
  std::vector<std::string> shapes;
  std::vector<std::string> outputs;
  engine::Backend backend = engine::Backend::kAuto;
  engine::Precision precision = engine::Precision::kF32;
  int threads = 0;
  double duration = 3;
  model::PlanCacheOptions plan_cache;
  bool profile = false;
  bool json = false;
};

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

struct Row {
  int batch;
  int streams;
  int threads;
  engine::PlanStats stats;
  engine::LoadResult load;
  double flops;  // of one run: two for each multiply-add
  uint64_t peak_memory;

  double Latency(double p) const { return engine::Quantile(load.latencies, p); }
  double ImagesPerSecond() const { return load.runs_per_second() * batch; }
  double FlopsPerSecond() const { return load.runs_per_second() * flops; }
};

// Of the process so far, in bytes.
uint64_t PeakMemory() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

void PrintHeader(engine::Precision precision) {
  fmt::print("in {}\n", engine::PrecisionName(precision));
  fmt::print("{:>5} {:>7} {:>7} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7} {:>10} {:>11}\n",
             "batch", "streams", "threads", "p50 ms", "p90 ms", "p99 ms", "images/s",
             "GFLOP/s", "of peak", "compile ms", "peak memory");
}

void PrintRow(const Row& row, double peak) {
  fmt::print(
      "{:>5} {:>7} {:>7} {:>9.2f} {:>9.2f} {:>9.2f} {:>9.1f} {:>8.1f} {:>5.1f} % "
      "{:>10.0f} "
      "{:>11}\n",
      row.batch, row.streams, row.threads, row.Latency(0.5) * 1e3, row.Latency(0.9) * 1e3,
      row.Latency(0.99) * 1e3, row.ImagesPerSecond(), row.FlopsPerSecond() / 1e9,
      row.FlopsPerSecond() / peak * 100, row.stats.compile_seconds * 1e3,
      FormatBytes(row.peak_memory));
  std::fflush(stdout);
}

json::object RowJson(const Flags& flags, const Row& row, double peak) {
  return {{"model", JsonText(flags.source.model)},
          {"backend", BackendName(flags.backend)},
          {"precision", engine::PrecisionName(row.stats.precision)},
          {"batch", row.batch},
          {"streams", row.streams},
          {"threads", row.threads},
          {"runs", row.load.latencies.size()},
          {"seconds", row.load.seconds},
          {"latency_ms",
           {{"p50", row.Latency(0.5) * 1e3},
            {"p90", row.Latency(0.9) * 1e3},
            {"p99", row.Latency(0.99) * 1e3}}},
          {"images_per_second", row.ImagesPerSecond()},
          {"gflops_per_second", row.FlopsPerSecond() / 1e9},
          {"peak_gflops_per_second", peak / 1e9},
          {"compile_ms", row.stats.compile_seconds * 1e3},
          {"peak_memory_bytes", row.peak_memory},
          {"arena_bytes", row.stats.arena_bytes},
          {"weight_bytes", row.stats.weight_bytes}};
}

// A step of the profile. What it lost is the time beyond that of its arithmetic at
// the machine's peak.
struct ProfiledStep {
  const engine::StepInfo* info;
  double seconds;
  double peak;

  double flops() const { return 2.0 * static_cast<double>(info->multiply_adds); }
  double lost() const { return std::max(seconds - flops() / peak, 0.0); }
};

void PrintProfile(std::vector<ProfiledStep> steps) {
  double total = 0, total_lost = 0;
  for (const ProfiledStep& step : steps) {
    total += step.seconds;
    total_lost += step.lost();
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const auto& a, const auto& b) { return a.lost() > b.lost(); });
  fmt::print("\n{:>9} {:>6} {:>8} {:>8}  {:<22} {:<24} {}\n", "ms", "share", "GFLOP/s",
             "lost ms", "operation", "implementation", "node");
  for (const ProfiledStep& step : steps) {
    fmt::print("{:>9.3f} {:>4.1f} % {:>8.1f} {:>8.3f}  {:<22} {:<24} {}\n",
               step.seconds * 1e3, step.seconds / total * 100,
               step.flops() / step.seconds / 1e9, step.lost() * 1e3, step.info->op,
               step.info->implementation, step.info->name);
  }
  fmt::print("{:>9.3f} {:>6} {:>8} {:>8.3f}  all {} steps\n\n", total * 1e3, "", "",
             total_lost * 1e3, steps.size());
}

json::array ProfileJson(const std::vector<ProfiledStep>& steps) {
  json::array list;
  for (const ProfiledStep& step : steps) {
    list.push_back({{"node", JsonText(step.info->name)},
                    {"op", step.info->op},
                    {"implementation", step.info->implementation},
                    {"multiply_adds", step.info->multiply_adds},
                    {"ms", step.seconds * 1e3},
                    {"lost_ms", step.lost() * 1e3}});
  }
  return list;
}

double MeasurePeak(int threads) {
  return engine::MeasurePeakF32(std::min(threads, AvailableCpus()),
                                std::chrono::milliseconds(200));
}

absl::StatusOr<std::vector<ProfiledStep>> Profile(const Flags& flags, int threads,
                                                  const engine::Plan& plan,
                                                  std::span<const Tensor> inputs) {
  ASSIGN_OR_RETURN(const std::vector<double> seconds,
                   engine::MeasureSteps(plan, inputs, Milliseconds(flags.duration)));
  const double peak = MeasurePeak(threads);
  std::vector<ProfiledStep> steps;
  for (size_t i = 0; i < seconds.size(); ++i) {
    steps.push_back({&plan.steps()[i], seconds[i], peak});
  }
  return steps;
}

// Measures and prints one row: `plan` in `streams`.
absl::Status MeasureRow(const Flags& flags, const engine::Plan& plan, int batch,
                        int streams, int threads) {
  const std::vector<Tensor> inputs = engine::RandomInputs(plan);
  Row row{.batch = batch, .streams = streams, .threads = threads};
  row.stats = plan.stats();
  for (const engine::StepInfo& step : plan.steps()) {
    row.flops += 2.0 * static_cast<double>(step.multiply_adds);
  }
  // Beside the row: clocks change.
  const double peak = MeasurePeak(threads * streams);
  ASSIGN_OR_RETURN(row.load,
                   engine::MeasureLoad(plan, inputs,
                                       {.streams = streams,
                                        .pin = !flags.no_pin,
                                        .warmup = Milliseconds(flags.duration / 5),
                                        .duration = Milliseconds(flags.duration)}));
  row.peak_memory = PeakMemory();
  std::vector<ProfiledStep> profile;
  if (flags.profile) {
    ASSIGN_OR_RETURN(profile, Profile(flags, threads, plan, inputs));
  }
  if (flags.json) {
    json::object line = RowJson(flags, row, peak);
    if (flags.profile) line["profile"] = ProfileJson(profile);
    fmt::print("{}\n", json::serialize(line));
    std::fflush(stdout);
  } else {
    PrintRow(row, peak);
    if (flags.profile) PrintProfile(std::move(profile));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> Run(const Flags& flags) {
  WarnOfPrecision(flags.precision);
  ASSIGN_OR_RETURN(
      const Runnable runnable,
      LoadRunnable(flags.source, flags.precision, flags.backend, flags.plan_cache));
  const auto shapes =
      FindInputShapes(flags.shapes, runnable.graph->graph(), runnable.inputs);
  if (!shapes.ok()) return Annotate(shapes.status(), flags.source.model);
  engine::PlanOptions options = runnable.NewOptions();
  options.backend = flags.backend;
  options.precision = flags.precision;
  options.outputs = flags.outputs.empty() ? runnable.outputs : flags.outputs;
  if (options.outputs.empty()) {
    return Annotate(graph::NoOutputs(runnable.graph->graph()), flags.source.model);
  }
  bool header = !flags.json;
  for (const int streams : flags.streams) {
    options.threads =
        flags.threads > 0 ? flags.threads : std::max(AvailableCpus() / streams, 1);
    for (const int batch : flags.batches) {
      options.inputs = WithBatch(*shapes, batch);
      const auto plan = engine::Plan::Compile(runnable.graph->graph(), options);
      if (!plan.ok()) return Annotate(plan.status(), flags.source.model);
      if (std::exchange(header, false)) PrintHeader((*plan)->stats().precision);
      RETURN_IF_ERROR(MeasureRow(flags, **plan, batch, streams, options.threads));
    }
  }
  SavePlanCache(*runnable.graph);
  return 0;
}

}  // namespace

Action SetupBench(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddRunnableOptions(command, flags->source);
  command
      .add_option("--batch", flags->batches, "Images of one run; 1,8,32 measures each")
      ->delimiter(',')
      ->default_str("1")
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--streams", flags->streams,
                  "Runs at the same time, each on threads of its own; 1,2 measures each")
      ->delimiter(',')
      ->default_str("1")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--no-pin", flags->no_pin,
                   "Let several streams move between all CPUs; they keep to their own");
  AddThreadsOption(command, flags->threads)
      ->description(
          "Threads of one run; 0: the CPUs that the process may use, shared between the "
          "streams");
  AddPrecisionOption(command, flags->precision);
  AddBackendOption(command, flags->backend);
  AddPlanCacheOption(command, flags->plan_cache);
  command
      .add_option("--duration", flags->duration,
                  "Seconds of each measurement, after a fifth of it to warm up")
      ->capture_default_str()
      ->check(FiniteRange(0.01, 3600.0));
  AddShapeOption(command, flags->shapes);
  command
      .add_option("--output", flags->outputs,
                  "The tensors to compute; default: the model's predictions, a graph's "
                  "last nodes")
      ->allow_extra_args(false);
  command.add_flag("--profile", flags->profile,
                   "Each step's time, rate and implementation, and what it lost against "
                   "the machine's peak; the most lost first");
  command.add_flag("--json", flags->json, "A line of JSON for each measurement");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
