// `oriel merge-labels`: label ids and their descriptions into one line per output.

#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "labels/labels.h"

namespace oriel::cli {
namespace {

struct Flags {
  std::string synsets;
  std::string metadata;
  std::string output = "descriptions.txt";
  bool no_background = false;
};

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const labels::Lines ids, labels::ReadSynsets(flags.synsets));
  ASSIGN_OR_RETURN(const labels::Metadata metadata, labels::ReadMetadata(flags.metadata));
  const auto merged = labels::MergeLabels(ids, metadata, !flags.no_background);
  if (!merged.ok()) return Annotate(merged.status(), flags.synsets);
  if (flags.output == "-") {
    fmt::print("{}", labels::FormatLines(*merged));
    return 0;
  }
  RETURN_IF_ERROR(WriteFileAtomically(flags.output, labels::FormatLines(*merged)));
  fmt::print("{}: {} lines\n", flags.output, merged->size());
  return 0;
}

}  // namespace

Action SetupMergeLabels(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command.add_option("--synsets", flags->synsets, "File with an id on each line")
      ->required();
  command
      .add_option("--metadata", flags->metadata,
                  "File with 'id<tab>description' on each line")
      ->required();
  command
      .add_option("--output", flags->output,
                  "File to write: the description of each id, in order; - prints them")
      ->capture_default_str();
  command.add_flag("--no-background", flags->no_background,
                   "Leave out the line 'background' before the others");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
