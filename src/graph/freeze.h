// Variables to constants, as TensorFlow's freeze_graph does it, without running
// the graph: values are read from a VariableSource by name.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/variable_source.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

struct FreezeOptions {
  std::vector<std::string> output_node_names;  // at least one
  bool clear_devices = true;                   // blank NodeDef.device everywhere
  // Names of variables: only those of the allowlist (empty: all) and none of the
  // denylist become constants, the others stay variables.
  std::vector<std::string> variable_names_allowlist;
  std::vector<std::string> variable_names_denylist;
};

// The part of `graph` that the outputs need, in its order, in which
// - Variable, VariableV2 and VarHandleOp are Const of the same name (attributes
//   dtype and value) with the tensor that `variables` has under that name, or for a
//   VarHandleOp under its shared_name;
// - ReadVariableOp is Identity of its first input, with the attributes T and _class;
//   ResourceGather is GatherV2 with a Const "<name>/axis" at the graph's end,
//   ResourceGatherNd is GatherNd. Like the constants they lose device and control inputs;
// - Identity, Switch, Enter, Exit and NextIteration behind a variable carry the value's
//   type and no _output_shapes;
// - RefIdentity, RefSwitch, RefEnter, RefExit and RefMerge lose their "Ref".
// That is TensorFlow's result node by node, but for the last, which TensorFlow leaves
// broken. Readers such as "<variable>/read" (Identity) stay. Variables that the outputs
// do not need are not read. The same input gives the same output.
//
// GraphVariables (graph/graph_variables.h) are the values that a graph's own saver and
// initializers give.
//
// kInvalidArgument, texts as the original's where it has the error, else naming the node:
// an output that is not in the graph, dtype or shape other than the value's, an operation
// that writes a variable or takes it for anything but reading, constants of over 2 GiB in
// all, a result that ValidateGraph refuses. kNotFound: there is no value for a variable.
// Errors from reading it.
absl::StatusOr<tensorflow::GraphDef> FreezeGraph(const tensorflow::GraphDef& graph,
                                                 const VariableSource& variables,
                                                 const FreezeOptions& options);

}  // namespace oriel::graph
