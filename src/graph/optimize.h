// A frozen graph made ready for inference, as TensorFlow's
// optimize_for_inference: an ordered table of named passes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// What a pass did, for --verbose.
struct PassReport {
  std::string_view name;
  int changes = 0;  // nodes rewritten, folded or spliced out
  int nodes_before = 0;
  int nodes_after = 0;
  double seconds = 0;  // of the pass itself
};

// The outputs of a node whose data inputs have these values; nullopt when it cannot say,
// or when they would take more than `max_bytes`. A node with state or chance in it has
// none. The library computes nothing itself: engine/evaluate.h has one.
using ConstantEvaluator = std::function<std::optional<std::vector<Tensor>>(
    const tensorflow::NodeDef& node, std::span<const Tensor> inputs, uint64_t max_bytes)>;

struct OptimizeOptions {
  // Nodes that become Placeholders, and nodes that are to be kept, under their
  // names; names of nodes, not of tensors (no ":0").
  std::vector<std::string> input_names;
  std::vector<std::string> output_names;  // at least one

  // Of the placeholders: one for all, or one for each of input_names.
  std::vector<tensorflow::DataType> placeholder_types = {tensorflow::DT_FLOAT};

  // Bool placeholders that become constants, as "name=False"; the name may be a part of
  // theirs. keras_learning_phase=False is always among them.
  std::vector<std::string> placeholder_to_const;

  // Makes no operation that TensorFlow Lite lacks.
  bool toco_compatible = false;

  // For fold_constants; without it that pass does nothing.
  ConstantEvaluator evaluate;

  // Passes by name: run only these (empty: all), but not those.
  std::vector<std::string> only;
  std::vector<std::string> skip;

  // Called after each pass; may be empty.
  std::function<void(const PassReport&)> on_pass;

  // Called with what was asked for and could not be done; may be empty.
  std::function<void(const std::string&)> warn;

  // Bytes of constants that passes may create. A GraphDef holds 2 GiB at most.
  uint64_t max_constant_bytes = uint64_t{2} << 30;
};

// A pass rewrites the graph and returns the number of changes. On an error the graph is
// lost.
struct Pass {
  const char* name;
  const char* summary;  // one line
  absl::StatusOr<int> (*run)(tensorflow::GraphDef& graph, const OptimizeOptions& options);
  // Where it changed something it leaves nodes that no output needs. They are dropped at
  // once, so that the next pass does not take them for readers.
  bool leaves_unused = false;
};

// In the order in which they run.
std::span<const Pass> Passes();

// Runs the passes. The graph is validated before the first and after each one
// (ValidateGraph). The result computes the same outputs under the same names up to
// rounding, where the graph does not depend on chance (dropout): scales are folded in
// double and rounded once. Deterministic.
// kInvalidArgument that names node or pass: a graph that is not well formed,
// unknown inputs, outputs or passes. kResourceExhausted: max_constant_bytes.
absl::StatusOr<tensorflow::GraphDef> OptimizeForInference(tensorflow::GraphDef graph,
                                                          const OptimizeOptions& options);

}  // namespace oriel::graph
