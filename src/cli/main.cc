// `oriel`: the subcommands, and what they share: --version, errors, exit codes.

#include <unistd.h>

#include <array>
#include <vector>

#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/commands.h"

namespace oriel::cli {
namespace {

constexpr std::array kCommands = {
    Command{"bench", "Measure how fast a network runs here", SetupBench},
    Command{"classify", "Tell what is on images", SetupClassify},
    Command{"export", "Make a model directory from a checkpoint", SetupExport},
    Command{"export-inference-graph", "Write a network as a GraphDef with variables",
            SetupExportInferenceGraph},
    Command{"freeze-graph", "Put a checkpoint's variables into a GraphDef as constants",
            SetupFreezeGraph},
    Command{"inspect", "List what is in a checkpoint or a GraphDef", SetupInspect},
    Command{"merge-labels", "Put ids and descriptions together, a line per class",
            SetupMergeLabels},
    Command{"optimize-for-inference", "Make a frozen GraphDef smaller and faster",
            SetupOptimizeForInference},
    Command{"run", "Feed and fetch raw tensors of a graph or model", SetupRun},
    Command{"serve", "Answer over HTTP: a page and an API", SetupServe},
    Command{"version", "Print the version", SetupVersion},
};

int Main(int argc, char** argv) {
  CLI::App app("Image classification from CPUs: export, classify, serve", "oriel");
  app.set_version_flag("--version", "oriel " ORIEL_VERSION);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    actions.emplace_back(sub, command.setup(*sub));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  InstallInterruptHandler();
  for (const auto& [sub, action] : actions) {
    if (!sub->parsed()) continue;
    const absl::StatusOr<int> result = action();
    if (result.ok()) return *result;
    if (result.status().code() == absl::StatusCode::kCancelled && Interrupted()) {
      fmt::print(stderr, "\ninterrupted\n");
      return 130;
    }
    fmt::print(stderr, "oriel {}: {}\n", sub->get_name(), Message(result.status()));
    return 1;
  }
  return 2;
}

}  // namespace
}  // namespace oriel::cli

int main(int argc, char** argv) {
  try {
    return oriel::cli::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "oriel: out of memory\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "oriel: {}\n", error.what());
  }
  return 1;
}
