// What the nodes of a graph compute, found without running it.
#pragma once

#include <string>
#include <vector>

#include "engine/plan.h"

namespace oriel::engine {

struct NodeDescription {
  std::string name;
  std::string op;
  std::vector<Shape> outputs;
  // Elements of floating-point constants and variables that it reads; of one that
  // several read, at the first.
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  // of convolutions and matrix products, by direct sums
};

// Of what the outputs need, before any fusing; producers first. Operations on constants
// alone and those that pass their input on (Identity, unless it changes the shape) are
// left out. Options and errors as Plan::Compile has them. Inputs may name variables.
absl::StatusOr<std::vector<NodeDescription>> DescribeGraph(
    const tensorflow::GraphDef& graph, const PlanOptions& options);

}  // namespace oriel::engine
