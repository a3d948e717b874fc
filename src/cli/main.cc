// `oriel`: the subcommands, and what they share: --version, errors, exit codes.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/interrupt.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/commands.h"

namespace oriel::cli {
namespace {

constexpr std::array kCommands = {
    Command{"api-key", "Make a key for the server's API", SetupApiKey},
    Command{"bench", "Measure how fast a network runs here", SetupBench, true},
    Command{"calibrate", "Find out how to run a model in int8", SetupCalibrate, true},
    Command{"classify", "Tell what is on images", SetupClassify, true},
    Command{"convert-checkpoint", "Write a checkpoint in another format, by other names",
            SetupConvertCheckpoint, true},
    Command{"diff", "Compare two graphs, as they are written and by what they compute",
            SetupDiff, true, 2},
    Command{"export", "Make a model directory from a checkpoint", SetupExport, true},
    Command{"export-inference-graph", "Write a network as a GraphDef with variables",
            SetupExportInferenceGraph},
    Command{"freeze-graph", "Put a checkpoint's variables into a GraphDef as constants",
            SetupFreezeGraph},
    Command{"inspect", "List what is in a checkpoint, a graph or a TFRecord file",
            SetupInspect},
    Command{"merge-labels", "Put ids and descriptions together, a line per class",
            SetupMergeLabels},
    Command{"ops", "List the operations that the engine runs", SetupOps},
    Command{"optimize-for-inference", "Make a frozen GraphDef smaller and faster",
            SetupOptimizeForInference},
    Command{"preprocess", "Make network inputs of images, augmented for training or not",
            SetupPreprocess, true},
    Command{"run", "Feed and fetch raw tensors of a graph or model", SetupRun},
    Command{"serve", "Answer over HTTP: a page and an API", SetupServe, true},
    Command{"tune", "Try kernels here and keep the fastest", SetupTune, true},
    Command{"version", "Print the version, and which vector instructions are used",
            SetupVersion},
};

constexpr int kUsageError = 2;
constexpr int kUnreachable = 69;  // EX_UNAVAILABLE: a host or an address is not to be had

int Main(int argc, char** argv) {
  CLI::App app("Image classification from CPUs: export, classify, serve", "oriel");
  app.set_version_flag("--version", "oriel " ORIEL_VERSION);
  app.require_subcommand(1);
  struct Entry {
    CLI::App* app;
    Action action;
    const Command* command;
  };
  std::vector<Entry> entries;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    entries.push_back({sub, command.setup(*sub), &command});
  }
  const auto is_named = [&](const Command& command) {
    return std::string_view(command.name) == argv[1];
  };
  if (argc > 1 && argv[1][0] != '-' &&
      std::none_of(kCommands.begin(), kCommands.end(), is_named)) {
    fmt::print(stderr, "oriel: no command '{}'; oriel --help lists them\n",
               Printable(argv[1]));
    return kUsageError;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : kUsageError;
  }
  for (const auto& [sub, action, command] : entries) {
    if (!sub->parsed()) continue;
    if (command->looks_at_interrupts) InstallInterruptHandler();
    const absl::StatusOr<int> result = action();
    if (result.ok()) return *result;
    if (result.status().code() == absl::StatusCode::kCancelled && Interrupted()) {
      fmt::print(stderr, "\ninterrupted\n");
      return 130;
    }
    fmt::print(stderr, "oriel {}: {}\n", sub->get_name(), Message(result.status()));
    return result.status().code() == absl::StatusCode::kUnavailable ? kUnreachable
                                                                    : command->error_code;
  }
  return kUsageError;
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
