// Whether a GraphDef is well formed, as far as that can be told without shapes.
#pragma once

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// All that GraphIndex::Create checks, and for the operations of image networks
// (the table in validate.cc; others are not looked into): the number of inputs,
// that each input's type is the one its consumer's attribute says, that the
// output of a node that is read exists, and that the value of every Const has the
// dtype of its attribute and as many elements as its shape. Shapes of placeholders and
// variables are of at most 2^40 elements.
// kInvalidArgument names the node, what was found and what was wanted.
absl::Status ValidateGraph(const tensorflow::GraphDef& graph);

}  // namespace oriel::graph
