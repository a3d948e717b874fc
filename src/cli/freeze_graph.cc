#include <memory>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "cli/commands.h"
#include "cli/graph_flags.h"
#include "graph/freeze.h"
#include "graph/graph_util.h"
#include "nets/nets.h"

namespace oriel::cli {
namespace {

struct Flags {
  std::string input_graph;
  std::string input_saver;
  std::string input_checkpoint;
  int checkpoint_version = 2;
  std::string output_graph;
  bool input_binary = false;
  std::string output_node_names;
  std::string restore_op_name = "save/restore_all";
  std::string filename_tensor_name = "save/Const:0";
  bool clear_devices = true;
  std::string initializer_nodes;
  std::string variable_names_whitelist;
  std::string variable_names_denylist;
  std::string model_name;
};

absl::Status CheckFlags(const Flags& flags) {
  RETURN_IF_ERROR(CheckInputFile("Input graph file", flags.input_graph));
  if (!flags.input_saver.empty()) {
    RETURN_IF_ERROR(CheckInputFile("Input saver file", flags.input_saver));
  }
  if (flags.checkpoint_version != 1 && flags.checkpoint_version != 2) {
    return InvalidArgument("Invalid checkpoint version (must be '1' or '2'): {}",
                           flags.checkpoint_version);
  }
  if (flags.input_checkpoint.empty()) {
    return InvalidArgument("Input checkpoint '' doesn't exist!");
  }
  if (SplitNames(flags.output_node_names).empty()) {
    return InvalidArgument(
        "You need to supply the name of a node to --output_node_names.");
  }
  if (!flags.initializer_nodes.empty()) {
    return Unimplemented(
        "--initializer_nodes: Oriel reads variables, it does not run "
        "the graph to freeze it");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const VariableSource>> OpenCheckpoint(const Flags& flags) {
  auto source = checkpoint::Open(flags.input_checkpoint);
  if (absl::IsNotFound(source.status())) {
    return NotFound("Input checkpoint '{}' doesn't exist! ({})", flags.input_checkpoint,
                    Message(source.status()));
  }
  if (!source.ok() || flags.model_name.empty()) return source;
  return nets::AdaptCheckpoint(flags.model_name, *std::move(source));
}

absl::StatusOr<int> Run(const Flags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  ASSIGN_OR_RETURN(const tensorflow::GraphDef input,
                   graph::ReadGraphDef(flags.input_graph, !flags.input_binary));
  ASSIGN_OR_RETURN(const auto variables, OpenCheckpoint(flags));
  graph::FreezeOptions options;
  options.output_node_names = SplitNames(flags.output_node_names);
  options.clear_devices = flags.clear_devices;
  options.variable_names_allowlist = SplitNames(flags.variable_names_whitelist);
  options.variable_names_denylist = SplitNames(flags.variable_names_denylist);
  ASSIGN_OR_RETURN(const tensorflow::GraphDef frozen,
                   graph::FreezeGraph(input, *variables, options));
  if (!flags.output_graph.empty()) {
    RETURN_IF_ERROR(graph::WriteGraphDef(frozen, flags.output_graph));
  }
  fmt::print("{} ops in the final graph.\n", frozen.node_size());
  return 0;
}

}  // namespace

Action SetupFreezeGraph(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddFlag(command, "input_graph", flags->input_graph, "GraphDef to read");
  AddBoolFlag(command, "input_binary", flags->input_binary,
              "The input is binary; false: text");
  AddFlag(command, "input_checkpoint", flags->input_checkpoint,
          "Variables: TensorFlow V1 file or V2 prefix, PyTorch, safetensors");
  AddFlag(command, "output_graph", flags->output_graph,
          "Binary GraphDef to write; empty: none");
  AddFlag(command, "output_node_names", flags->output_node_names,
          "Nodes to keep, separated by commas");
  AddBoolFlag(command, "clear_devices", flags->clear_devices,
              "Blank every node's device");
  AddFlag(command, "variable_names_whitelist,variable_names_allowlist",
          flags->variable_names_whitelist, "Only these variables become constants");
  AddFlag(command, "variable_names_denylist,variable_names_blacklist",
          flags->variable_names_denylist, "These variables stay variables");
  AddFlag(command, "model_name", flags->model_name,
          "Network that the graph is: PyTorch's names and layouts are translated");
  AddFlag(command, "input_saver", flags->input_saver,
          "Checked to be there; variables are found by name");
  AddFlag(command, "checkpoint_version", flags->checkpoint_version,
          "1 or 2; the format is found from the file");
  AddFlag(command, "restore_op_name", flags->restore_op_name, "Not used");
  AddFlag(command, "filename_tensor_name", flags->filename_tensor_name, "Not used");
  AddFlag(command, "initializer_nodes", flags->initializer_nodes, "Must be empty");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
