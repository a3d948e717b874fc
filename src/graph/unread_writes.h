// Writes to variables that only count for the next run of a graph.
#pragma once

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// Removes the control inputs that wait for an AssignVariableOp, AssignAddVariableOp or
// AssignSubVariableOp after which nobody takes the same variable in this run: seeds of
// random numbers and counters, as Keras's augmentation layers keep them. What a run
// computes stays; the graph's other runs then see the variable as it was. The writes stay
// in the graph for who asks for them, so a graph must not restore its variables by them.
// Returns the number of writes. Errors are GraphIndex's.
absl::StatusOr<int> ForgetUnreadWrites(tensorflow::GraphDef& graph);

}  // namespace oriel::graph
