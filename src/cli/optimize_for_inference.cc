#include <memory>

#include "cli/commands.h"
#include "cli/graph_flags.h"
#include "engine/evaluate.h"
#include "graph/compatible/optimize.h"
#include "graph/graph_util.h"
#include "graph/optimize.h"

namespace oriel::cli {
namespace {

struct Flags {
  std::string input;
  std::string output;
  std::string input_names;
  std::string output_names;
  bool frozen_graph = true;
  std::string placeholder_type_enum = "1";
  std::string toco_compatible;
  std::string placeholder_to_const_names;
  std::string passes;
  std::string skip;
  bool list = false;
  bool verbose = false;
  bool compatible = false;
};

// What the original returns where it prints that its input is not there.
constexpr int kNoInput = 255;

void Warn(const std::string& text) { fmt::print(stderr, "warning: {}\n", text); }

// The original takes every text for true, "False" too.
bool CompatibleBool(const Flags& flags) {
  const std::string& text = flags.toco_compatible;
  if (!text.empty() && text != "true" && text != "True") {
    Warn(fmt::format("--toco_compatible={} means true, as in the original", text));
  }
  return !text.empty();
}

absl::StatusOr<bool> ParseBool(const char* flag, const std::string& text) {
  if (text == "true" || text == "True") return true;
  if (text.empty() || text == "false" || text == "False") return false;
  return InvalidArgument("--{}: '{}' is neither true nor false", flag, text);
}

// Between the commas, as Python's split: the empty list is one empty name.
std::vector<std::string> SplitExactly(std::string_view list) {
  std::vector<std::string> names(1);
  for (const char c : list) {
    if (c == ',') {
      names.emplace_back();
    } else {
      names.back() += c;
    }
  }
  return names;
}

absl::StatusOr<std::vector<int>> ParseTypes(const std::string& list) {
  std::vector<int> types;
  for (const std::string& item : SplitExactly(list)) {
    const std::vector<std::string> trimmed = SplitNames(item);
    int number = 0;
    if (trimmed.size() != 1 || !CLI::detail::lexical_cast(trimmed[0], number)) {
      return InvalidArgument(
          "--placeholder_type_enum: invalid literal for int() with base 10: '{}'", item);
    }
    types.push_back(number);
  }
  return types;
}

absl::StatusOr<std::vector<tensorflow::DataType>> KnownTypes(const std::string& list) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ParseTypes(list));
  std::vector<tensorflow::DataType> types;
  for (const int number : numbers) {
    if (!tensorflow::DataType_IsValid(number) || number == tensorflow::DT_INVALID) {
      return InvalidArgument("--placeholder_type_enum: '{}' is no number of a type",
                             number);
    }
    types.push_back(static_cast<tensorflow::DataType>(number));
  }
  return types;
}

std::string PassTable() {
  std::string table = "Passes, in order:";
  for (const graph::Pass& pass : graph::Passes()) {
    table += fmt::format("\n  {:<24} {}", pass.name, pass.summary);
  }
  return table;
}

absl::StatusOr<tensorflow::GraphDef> OptimizeCompatibly(const Flags& flags,
                                                        tensorflow::GraphDef graph) {
  if (!flags.passes.empty() || !flags.skip.empty()) {
    return InvalidArgument(
        "--compatible runs the original's passes: no --passes, --skip");
  }
  graph::CompatibleOptions options;
  options.input_names = SplitExactly(flags.input_names);
  options.output_names = SplitExactly(flags.output_names);
  ASSIGN_OR_RETURN(options.placeholder_types, ParseTypes(flags.placeholder_type_enum));
  options.toco_compatible = CompatibleBool(flags);
  options.placeholder_to_const = SplitExactly(flags.placeholder_to_const_names);
  options.warn = Warn;
  return graph::OptimizeCompatibly(std::move(graph), options);
}

void PrintReport(const graph::PassReport& report) {
  fmt::print(stderr, "{:<24} {:>6} changes  {:>6} -> {:>6} nodes  {:>8.1f} ms\n",
             report.name, report.changes, report.nodes_before, report.nodes_after,
             report.seconds * 1e3);
}

absl::StatusOr<tensorflow::GraphDef> Optimize(const Flags& flags,
                                              tensorflow::GraphDef graph) {
  graph::OptimizeOptions options;
  options.input_names = SplitNames(flags.input_names);
  options.output_names = SplitNames(flags.output_names);
  options.only = SplitNames(flags.passes);
  options.skip = SplitNames(flags.skip);
  ASSIGN_OR_RETURN(options.placeholder_types, KnownTypes(flags.placeholder_type_enum));
  if (options.output_names.empty()) {
    return InvalidArgument("name the output nodes with --output_names");
  }
  ASSIGN_OR_RETURN(options.toco_compatible,
                   ParseBool("toco_compatible", flags.toco_compatible));
  options.placeholder_to_const = SplitNames(flags.placeholder_to_const_names);
  options.evaluate = engine::EvaluateNode;
  options.warn = Warn;
  if (flags.verbose) options.on_pass = PrintReport;
  return graph::OptimizeForInference(std::move(graph), options);
}

absl::StatusOr<int> Run(const Flags& flags) {
  if (flags.list) {
    fmt::print("{}\n", PassTable());
    return 0;
  }
  if (const absl::Status found = CheckInputFile("Input graph file", flags.input);
      !found.ok()) {
    fmt::print(stderr, "oriel optimize-for-inference: {}\n", Message(found));
    return kNoInput;
  }
  if (flags.output.empty()) {
    return InvalidArgument("name the file to write with --output");
  }
  const bool text = !flags.frozen_graph;
  ASSIGN_OR_RETURN(tensorflow::GraphDef graph, graph::ReadGraphDef(flags.input, text));
  const int nodes = graph.node_size();
  if (flags.compatible) {
    ASSIGN_OR_RETURN(graph, OptimizeCompatibly(flags, std::move(graph)));
  } else {
    ASSIGN_OR_RETURN(graph, Optimize(flags, std::move(graph)));
  }
  RETURN_IF_ERROR(graph::WriteGraphDef(graph, flags.output, text));
  if (flags.verbose) {
    fmt::print(stderr, "{}: {} nodes of {}\n", flags.output, graph.node_size(), nodes);
  }
  return 0;
}

}  // namespace

Action SetupOptimizeForInference(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddFlag(command, "input", flags->input, "GraphDef to read");
  AddFlag(command, "output", flags->output, "GraphDef to write");
  AddFlag(command, "input_names", flags->input_names,
          "Nodes that become Placeholders, separated by commas");
  AddFlag(command, "output_names", flags->output_names,
          "Nodes to keep, separated by commas");
  AddBoolFlag(command, "frozen_graph", flags->frozen_graph,
              "Files are binary; false: text");
  AddFlag(command, "placeholder_type_enum", flags->placeholder_type_enum,
          "TensorFlow's number of the type: one for all inputs, or a list");
  AddFlag(command, "toco_compatible", flags->toco_compatible,
          "Only operations that TensorFlow Lite has");
  command.get_option("--toco_compatible")
      ->default_str("true")
      ->option_text("BOOL [false]");
  AddFlag(
      command, "placeholder_to_const_names", flags->placeholder_to_const_names,
      "Bool placeholders to make constants, as phase_train=False, separated by commas");
  AddBoolFlag(command, "compatible", flags->compatible,
              "Make the very graph that TensorFlow's tool makes");
  AddFlag(command, "passes", flags->passes, "Run only these passes");
  AddFlag(command, "skip,skip_passes", flags->skip, "Do not run these passes");
  AddBoolFlag(command, "list", flags->list, "List the passes, and do nothing else");
  AddBoolFlag(command, "verbose", flags->verbose, "Report each pass");
  command.footer(PassTable());
  AllowOtherWords(command);
  return [flags, &command]() -> absl::StatusOr<int> {
    RETURN_IF_ERROR(CheckOtherWords(command));
    return Run(*flags);
  };
}

}  // namespace oriel::cli
