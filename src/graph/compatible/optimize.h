// TensorFlow 2.21's optimize_for_inference step by step, for people who need the very
// graph that it makes: the same nodes in the same order with the same names,
// attributes and values, and no versions or function library, which it loses. Its
// habits come with it: graphs that it breaks are refused as it refuses them
// (Input for ... not found), attributes that it asks for and does not find appear
// empty, and it may change what a graph computes (docs/toolchain.md).
// OptimizeForInference (graph/optimize.h) is the one that never does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

struct CompatibleOptions {
  // As they stand between the commas: the original trims nothing, and takes the empty
  // name for a name.
  std::vector<std::string> input_names;
  std::vector<std::string> output_names;

  // Numbers of types, known or not: one for all placeholders, or one for each of
  // input_names.
  std::vector<int> placeholder_types = {tensorflow::DT_FLOAT};

  // Leaves out what makes operations that TensorFlow Lite lacks.
  bool toco_compatible = false;

  // "name=value", the value True, true, False or false.
  std::vector<std::string> placeholder_to_const;

  // Called with what the original logs as a warning; may be empty.
  std::function<void(const std::string&)> warn;

  // Bytes of any one constant that is read or made.
  uint64_t max_constant_bytes = uint64_t{2} << 30;
};

// kInvalidArgument with the original's text where it raises an error. Deterministic.
absl::StatusOr<tensorflow::GraphDef> OptimizeCompatibly(tensorflow::GraphDef graph,
                                                        const CompatibleOptions& options);

}  // namespace oriel::graph
