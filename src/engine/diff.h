// Where two graphs compute different values.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/plan.h"
#include "tensor/compare.h"
#include "tensor/tensor.h"

namespace oriel::engine {

struct DiffOptions {
  // Of both graphs, by name: what is fed, and what is to be computed in the end.
  std::vector<std::pair<std::string, Tensor>> inputs;
  std::vector<std::string> outputs;
  Tolerance tolerance;
  Backend backend = Backend::kAuto;
  int threads = 0;  // of a run; 0: all
  // Called before each part of the work, done out of total; an error ends it.
  std::function<absl::Status(int done, int total)> on_progress;
};

struct ValueDifference {
  std::string name;  // of a tensor of both graphs
  std::string op_a, op_b;
  TensorDifference difference;
};

struct GraphValues {
  // What the outputs need, follows from the inputs and has the same name in both graphs;
  // producers before consumers.
  std::vector<ValueDifference> values;
  std::vector<ValueDifference> outputs;  // in the order of the options
};

// Runs both graphs in Precision::kF32Exact with every such value fetched, so that none
// is lost to fusing; some at a time, for the memory. Errors as Plan::Compile's, with
// "first graph" or "second graph" before them.
absl::StatusOr<GraphValues> CompareValues(const tensorflow::GraphDef& a,
                                          const tensorflow::GraphDef& b,
                                          const DiffOptions& options);

}  // namespace oriel::engine
