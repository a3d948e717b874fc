// One node on values, by the reference kernels.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "engine/constant_source.h"
#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::engine {

struct EvaluateOptions {
  uint64_t max_bytes = uint64_t{1} << 36;  // of the outputs
  // Where the values of Const nodes lie that the node itself does not have; or null.
  std::shared_ptr<const ConstantSource> constants;
};

// The outputs of `node`, whose data inputs have these values, strings among them.
// kUnimplemented for operations that the engine does not have or that make a network
// (convolutions: OpType::foldable), kInvalidArgument for inputs that they do not take,
// kResourceExhausted for larger outputs; all name the node. Thread-safe.
absl::StatusOr<std::vector<Tensor>> Evaluate(const tensorflow::NodeDef& node,
                                             std::span<const Tensor> inputs,
                                             const EvaluateOptions& options);

// The same without strings, and without saying why not. Fits graph::ConstantEvaluator.
std::optional<std::vector<Tensor>> EvaluateNode(const tensorflow::NodeDef& node,
                                                std::span<const Tensor> inputs,
                                                uint64_t max_bytes);

}  // namespace oriel::engine
