// One node on constants, by the reference kernels.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::engine {

// The outputs of `node`, whose data inputs have these values. nullopt for operations that
// the engine does not have or does not compute when it compiles (convolutions), for
// inputs that they do not take, and for outputs of more than `max_bytes`. Thread-safe.
// Fits graph::ConstantEvaluator.
std::optional<std::vector<Tensor>> EvaluateNode(const tensorflow::NodeDef& node,
                                                std::span<const Tensor> inputs,
                                                uint64_t max_bytes);

}  // namespace oriel::engine
