// A graph as a drawing.
#pragma once

#include <functional>
#include <string>

#include "tensorflow/graph.pb.h"

namespace oriel::graph {

struct DotOptions {
  // More lines below a node's name and operation: its shape, say. May be empty.
  std::function<std::string(const tensorflow::NodeDef&)> note;
  // Draw constants, too; else only what follows from inputs and variables.
  bool constants = false;
};

// In Graphviz's language (https://graphviz.org/doc/info/lang.html), for `dot -Tsvg`:
// inputs are at the top, control edges dashed, output numbers other than 0 at the edge's
// tail. Operations of a kind have one colour. A graph need not be well formed: edges
// from nodes that are not there are left out.
std::string FormatDot(const tensorflow::GraphDef& graph, const DotOptions& options);

}  // namespace oriel::graph
