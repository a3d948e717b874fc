// Where two graphs are written differently.
#pragma once

#include <string>
#include <vector>

#include "tensor/compare.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

struct NodeDifference {
  std::string node;
  std::string what;  // "op Add, AddV2", "input 0 a, b", "attr strides ...", "value ..."
};

struct GraphDifference {
  std::vector<std::string> only_a, only_b;  // names of nodes, in their graph's order
  int in_both = 0;
  std::vector<NodeDifference> changed;  // of nodes in both, in the order of a
};

// Nodes are the same by name. Looks at operation, inputs ("x" is "x:0"), attributes but
// for hints (names with a leading underscore), and at constants by value, within
// `tolerance`; not at devices or the order of nodes. Nothing needs to be well formed.
GraphDifference CompareGraphs(const tensorflow::GraphDef& a,
                              const tensorflow::GraphDef& b, const Tolerance& tolerance);

}  // namespace oriel::graph
