#include <memory>
#include <optional>

#include "base/files.h"
#include "checkpoint/checkpoint.h"
#include "cli/commands.h"
#include "cli/graph_flags.h"
#include "graph/freeze.h"
#include "graph/graph_util.h"
#include "graph/graph_variables.h"
#include "graph/inline_functions.h"
#include "graph/proto_file.h"
#include "graph/saved_model.h"
#include "graph/subgraph.h"
#include "graph/unread_writes.h"
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
  std::string input_meta_graph;
  std::string input_saved_model_dir;
  std::string saved_model_tags = "serve";
  std::string model_name;
};

// A graph, and how its variables get their values.
struct Input {
  tensorflow::GraphDef graph;
  graph::Restoring restoring;
  std::string checkpoint;           // empty: --input_checkpoint
  bool may_lack_variables = false;  // then there need be no checkpoint
  bool keeps_state = false;         // for the next call: TensorFlow 2
};

void Note(std::string_view text) { fmt::print(stderr, "oriel freeze-graph: {}\n", text); }

absl::Status UseMetaGraph(tensorflow::MetaGraphDef meta_graph, Input& input) {
  if (meta_graph.has_saver_def()) input.restoring.saver = meta_graph.saver_def();
  // TensorFlow 2 keeps objects; what they compute, and how they are restored, are
  // functions.
  if (meta_graph.has_object_graph_def()) {
    ASSIGN_OR_RETURN(input.graph, graph::InlineFunctions(meta_graph.graph_def()));
    input.keeps_state = true;
  } else {
    input.graph = std::move(*meta_graph.mutable_graph_def());
  }
  return absl::OkStatus();
}

absl::Status ReadSavedModel(const Flags& flags, Input& input) {
  ASSIGN_OR_RETURN(tensorflow::MetaGraphDef meta_graph,
                   graph::ReadSavedModel(flags.input_saved_model_dir,
                                         SplitNames(flags.saved_model_tags)));
  input.may_lack_variables = true;
  if (!flags.input_saver.empty()) {
    input.graph = std::move(*meta_graph.mutable_graph_def());
    return absl::OkStatus();
  }
  input.checkpoint = graph::SavedModelVariables(flags.input_saved_model_dir);
  const std::string init = graph::InitNode(meta_graph);
  if (!init.empty()) input.restoring.initializer_nodes = {init};
  if (!flags.initializer_nodes.empty()) {
    Note("--initializer_nodes is not used with --input_saved_model_dir");
  }
  return UseMetaGraph(std::move(meta_graph), input);
}

// In the order, and with the texts, of the original.
absl::StatusOr<Input> ReadInput(const Flags& flags) {
  Input input;
  const bool text = !flags.input_binary;
  if (!flags.input_meta_graph.empty() &&
      (!flags.input_graph.empty() || !flags.input_saved_model_dir.empty())) {
    Note("of several graphs that of --input_meta_graph is used");
  }
  if (!flags.input_saved_model_dir.empty()) {
    RETURN_IF_ERROR(ReadSavedModel(flags, input));
  } else if (!flags.input_graph.empty()) {
    RETURN_IF_ERROR(CheckInputFile("Input graph file", flags.input_graph));
    ASSIGN_OR_RETURN(input.graph, graph::ReadGraphDef(flags.input_graph, text));
  }
  if (!flags.input_meta_graph.empty()) {
    RETURN_IF_ERROR(CheckInputFile("Input meta graph file", flags.input_meta_graph));
    ASSIGN_OR_RETURN(tensorflow::MetaGraphDef meta_graph,
                     graph::ReadMetaGraphDef(flags.input_meta_graph, text));
    input = Input();
    RETURN_IF_ERROR(UseMetaGraph(std::move(meta_graph), input));
  }
  if (!flags.input_saver.empty()) {
    RETURN_IF_ERROR(CheckInputFile("Input saver file", flags.input_saver));
    RETURN_IF_ERROR(
        graph::ReadMessage(flags.input_saver, text, input.restoring.saver.emplace()));
    if (!flags.initializer_nodes.empty()) {
      Note("--initializer_nodes is not used with --input_saver");
    }
  } else if (input.checkpoint.empty()) {
    input.restoring.initializer_nodes = SplitNames(flags.initializer_nodes);
  }
  if (input.checkpoint.empty()) input.checkpoint = flags.input_checkpoint;
  return input;
}

// nullptr: there is none, and there need not be.
absl::StatusOr<std::shared_ptr<const VariableSource>> OpenCheckpoint(const Flags& flags,
                                                                     const Input& input) {
  if (input.checkpoint.empty()) {
    return InvalidArgument("Input checkpoint '' doesn't exist!");
  }
  auto source = checkpoint::Open(input.checkpoint);
  if (absl::IsNotFound(source.status())) {
    if (input.may_lack_variables) return nullptr;
    return NotFound("Input checkpoint '{}' doesn't exist! ({})", input.checkpoint,
                    Message(source.status()));
  }
  if (!source.ok() || flags.model_name.empty()) return source;
  return nets::AdaptCheckpoint(flags.model_name, *std::move(source));
}

// The graph to freeze. What the values are found by has all of it.
absl::StatusOr<tensorflow::GraphDef> WithoutState(
    const Input& input, const std::vector<std::string>& outputs) {
  if (!input.keeps_state) return input.graph;
  ASSIGN_OR_RETURN(tensorflow::GraphDef needed,
                   graph::ExtractSubGraph(input.graph, outputs));
  RETURN_IF_ERROR(graph::ForgetUnreadWrites(needed).status());
  return needed;
}

absl::StatusOr<int> Run(const Flags& flags) {
  if (flags.checkpoint_version != 1 && flags.checkpoint_version != 2) {
    return InvalidArgument("Invalid checkpoint version (must be '1' or '2'): {}",
                           flags.checkpoint_version);
  }
  ASSIGN_OR_RETURN(const Input input, ReadInput(flags));
  ASSIGN_OR_RETURN(auto checkpoint, OpenCheckpoint(flags, input));
  graph::FreezeOptions options;
  options.output_node_names = SplitNames(flags.output_node_names);
  options.clear_devices = flags.clear_devices;
  options.variable_names_allowlist = SplitNames(flags.variable_names_whitelist);
  options.variable_names_denylist = SplitNames(flags.variable_names_denylist);
  if (options.output_node_names.empty()) {
    return InvalidArgument(
        "You need to supply the name of a node to --output_node_names.");
  }
  ASSIGN_OR_RETURN(
      const auto variables,
      graph::GraphVariables::Create(input.graph, std::move(checkpoint), input.restoring));
  ASSIGN_OR_RETURN(const tensorflow::GraphDef graph,
                   WithoutState(input, options.output_node_names));
  ASSIGN_OR_RETURN(const tensorflow::GraphDef frozen,
                   graph::FreezeGraph(graph, *variables, options));
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
              "Graph, meta graph and saver are binary; false: text");
  AddFlag(command, "input_checkpoint", flags->input_checkpoint,
          "Variables: TensorFlow V1 file or V2 prefix, PyTorch, safetensors");
  AddFlag(command, "output_graph", flags->output_graph,
          "Binary GraphDef to write; empty: none");
  AddFlag(command, "output_node_names", flags->output_node_names,
          "Nodes to keep, separated by commas");
  AddBoolFlag(command, "clear_devices", flags->clear_devices,
              "Blank every node's device");
  AddFlag(command, "initializer_nodes", flags->initializer_nodes,
          "Nodes that assign constants to variables once they are restored");
  AddFlag(command, "variable_names_whitelist,variable_names_allowlist",
          flags->variable_names_whitelist, "Only these variables become constants");
  AddFlag(command, "variable_names_denylist,variable_names_blacklist",
          flags->variable_names_denylist, "These variables stay variables");
  AddFlag(command, "input_meta_graph", flags->input_meta_graph,
          "MetaGraphDef to read: graph and saver");
  AddFlag(command, "input_saved_model_dir", flags->input_saved_model_dir,
          "SavedModel to read: graph, saver and variables");
  AddFlag(command, "saved_model_tags", flags->saved_model_tags,
          "All tags of the graph in the SavedModel, separated by commas");
  AddFlag(command, "input_saver", flags->input_saver,
          "SaverDef: its restore op tells the variables' names in the checkpoint");
  AddFlag(command, "checkpoint_version", flags->checkpoint_version,
          "1 or 2; the format is found from the file");
  AddFlag(command, "restore_op_name", flags->restore_op_name,
          "Not used, as in TensorFlow");
  AddFlag(command, "filename_tensor_name", flags->filename_tensor_name,
          "Not used, as in TensorFlow");
  AddFlag(command, "model_name", flags->model_name,
          "Network that the graph is: PyTorch's names and layouts are translated");
  AllowOtherWords(command);
  return [flags, &command]() -> absl::StatusOr<int> {
    RETURN_IF_ERROR(CheckOtherWords(command));
    return Run(*flags);
  };
}

}  // namespace oriel::cli
