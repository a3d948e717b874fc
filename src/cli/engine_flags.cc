#include "cli/engine_flags.h"

#include <fmt/format.h>

#include <map>
#include <string>

namespace oriel::cli {
namespace {

template <typename T>
using Names = std::map<std::string, T>;

const Names<engine::Backend>& BackendNames() {
  static const Names<engine::Backend> names = {
      {"auto", engine::Backend::kAuto},
      {"native", engine::Backend::kNative},
      {"onednn", engine::Backend::kOneDnn},
      {"reference", engine::Backend::kReference}};
  return names;
}

const Names<engine::Precision>& PrecisionNames() {
  static const Names<engine::Precision> names = [] {
    using enum engine::Precision;
    Names<engine::Precision> all;
    for (const engine::Precision precision : {kF32, kF32Exact, kBf16, kInt8, kAuto}) {
      all.emplace(engine::PrecisionName(precision), precision);
    }
    return all;
  }();
  return names;
}

template <typename T>
std::string NameOf(const Names<T>& names, T value) {
  for (const auto& [name, named] : names) {
    if (named == value) return name;
  }
  return "unknown";
}

// An enum by name. The name goes into the help, where CLI11 would print the number.
template <typename T>
CLI::Option* AddNamedOption(CLI::App& command, const char* flag, T& value,
                            const Names<T>& names, const char* description) {
  return command
      .add_option_function<std::string>(
          flag, [&value, &names](const std::string& name) { value = names.at(name); },
          description)
      ->default_str(NameOf(names, value))
      ->check(CLI::IsMember(names));
}

}  // namespace

std::string BackendName(engine::Backend backend) {
  return NameOf(BackendNames(), backend);
}

std::string DescribePrecision(const engine::PrecisionChoice& choice) {
  return choice.reason.empty() ? std::string(engine::PrecisionName(choice.precision))
                               : choice.reason;
}

void WarnOfPrecision(engine::Precision precision) {
  const std::string_view caveat = engine::PrecisionCaveat(precision);
  if (!caveat.empty()) fmt::print(stderr, "{}\n", caveat);
}

CLI::Option* AddBackendOption(CLI::App& command, engine::Backend& backend) {
  return AddNamedOption(
      command, "--backend", backend, BackendNames(),
      "Who computes: auto (the faster of the next two), "
      "native (our kernels, oneDNN's where we have none), "
      "onednn (its kernels alone), or reference (plain loops: slow, the arbiter)");
}

CLI::Option* AddPrecisionOption(CLI::App& command, engine::Precision& precision) {
  return AddNamedOption(command, "--precision", precision, PrecisionNames(),
                        "f32; f32-exact: direct sums in every convolution; bf16: images "
                        "and weights in sixteen bits; int8: of a calibrated model; "
                        "auto: int8 or bf16 where it is faster here and the "
                        "calibration says that it agrees with f32");
}

void AddModelOptions(CLI::App& command, std::string& model, std::string& model_dir) {
  command
      .add_option("model", model,
                  "Name of an exported model, or the path of its directory")
      ->required();
  command.add_option("--model-dir", model_dir, "Where models are exported to")
      ->capture_default_str();
}

CLI::Option* AddPlanCacheOption(CLI::App& command, model::PlanCacheOptions& options) {
  return command
      .add_option_function<std::string>(
          "--plan-cache",
          [&options](const std::string& value) {
            options.enabled = value != "off";
            if (value != "off" && value != "auto") options.directory = value;
          },
          "Where compiled plans are kept for the next start: auto (beside the model, or "
          "in the user's cache directory where that cannot be written), off, or a "
          "directory")
      ->default_str("auto");
}

CLI::Option* AddThreadsOption(CLI::App& command, int& threads) {
  return command
      .add_option("--threads", threads,
                  "Threads of one run; 0: all CPUs that the process may use")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

}  // namespace oriel::cli
