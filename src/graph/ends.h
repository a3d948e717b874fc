// Where a graph begins and ends, for tools that are not told.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

struct GraphEnds {
  // The placeholders. One that nobody reads counts only where none is read: importing a
  // graph with other values for its inputs leaves such behind.
  std::vector<std::string> inputs;
  // What nobody reads, and there is a value to.
  std::vector<std::string> outputs;
};

// In the graph's order. Constants, operations without a value (NoOp, Assign and the
// like, what saves and restores checkpoints) and, in a graph with placeholders, nodes
// that do not follow from any of them are no outputs. A graph need not be well formed.
GraphEnds FindEnds(const tensorflow::GraphDef& graph);

// Why a graph has no outputs: what is wrong with it, as GraphIndex::Create tells it (each
// node is read in a cycle), else that it has none. Never OK.
absl::Status NoOutputs(const tensorflow::GraphDef& graph);

}  // namespace oriel::graph
