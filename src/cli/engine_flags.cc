#include "cli/engine_flags.h"

#include <map>
#include <string>

namespace oriel::cli {

namespace {

// An enum by name. The name goes into the help, where CLI11 would print the number.
template <typename T>
CLI::Option* AddNamedOption(CLI::App& command, const char* flag, T& value,
                            const std::map<std::string, T>& names,
                            const char* default_name, const char* description) {
  return command
      .add_option_function<std::string>(
          flag, [&value, &names](const std::string& name) { value = names.at(name); },
          description)
      ->default_str(default_name)
      ->check(CLI::IsMember(names));
}

}  // namespace

CLI::Option* AddBackendOption(CLI::App& command, engine::Backend& backend) {
  static const std::map<std::string, engine::Backend> kBackends = {
      {"onednn", engine::Backend::kOneDnn}, {"reference", engine::Backend::kReference}};
  return AddNamedOption(
      command, "--backend", backend, kBackends, "onednn",
      "Who computes: onednn, or reference (plain loops: slow, the arbiter)");
}

CLI::Option* AddPrecisionOption(CLI::App& command, engine::Precision& precision) {
  static const std::map<std::string, engine::Precision> kPrecisions = {
      {"f32", engine::Precision::kF32}, {"f32-exact", engine::Precision::kF32Exact}};
  return AddNamedOption(command, "--precision", precision, kPrecisions, "f32",
                        "f32, or f32-exact: direct sums in every convolution");
}

CLI::Option* AddThreadsOption(CLI::App& command, int& threads) {
  return command
      .add_option("--threads", threads,
                  "Threads of one run; 0: all CPUs that the process may use")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
}

}  // namespace oriel::cli
