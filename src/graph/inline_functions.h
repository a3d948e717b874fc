// Calls of functions replaced by the functions' nodes: what TensorFlow 2 saves becomes a
// graph as TensorFlow 1 saved it.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// Every PartitionedCall, StatefulPartitionedCall and node whose operation is a function
// of the library becomes the nodes of that function, named "<call>/<node>" ("<call>_1/"
// and so on where the graph has such a name), and in its own place, under its name,
// - Identity of the function's one result;
// - IdentityN of its several results, which other nodes read where they are made;
// - NoOp for a function without results.
// Either has control inputs from what the function says must run. Nodes that a function
// starts with wait for the call's control inputs. Calls in functions are replaced, too.
//
// If and StatelessIf that hand a variable (VarHandleOp) to their sides become Switch, the
// nodes of both sides, and Merge. Functions of other If, and of While, stay in the
// library, which is dropped when nothing calls it any more.
//
// kInvalidArgument that names the node: a function that does not exist, arguments that do
// not fit, a result of an operation whose outputs are not known by name.
// kResourceExhausted: calls nested over 64 deep, over a million nodes, or nodes of over
// `max_bytes` in all.
absl::StatusOr<tensorflow::GraphDef> InlineFunctions(const tensorflow::GraphDef& graph,
                                                     uint64_t max_bytes = uint64_t{2}
                                                                          << 30);

}  // namespace oriel::graph
