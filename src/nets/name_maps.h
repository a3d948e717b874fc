// Name maps between the namings of a network's variables (layer_names.h).
#pragma once

#include <string_view>

#include "base/status.h"
#include "checkpoint/name_map.h"
#include "nets/layer_names.h"

namespace oriel::nets {

// Class 0 of the published weights of TensorFlow is "background"; Keras and timm have
// none.
enum class Background {
  kKeep,
  kDrop,  // without class 0
  kAdd,   // with a class 0 that no image is of: weights 0, bias -100
};

// From one naming of a network to another, both of NamingsOf. Kernels are transposed
// where layouts differ. Where the new naming has a batch norm without gamma and the old
// one with, weights and moving mean are multiplied by it, which gives the same function;
// the other way gamma is 1. PyTorch's counters of batches are 0. An auxiliary head is
// dropped: only TF-slim has one. `checkpoint`, may be nullptr, is the one to be mapped.
// kInvalidArgument: no such network or naming; kNotFound: layers that it lacks.
absl::StatusOr<checkpoint::NameMap> BuildNameMap(std::string_view network,
                                                 std::string_view from,
                                                 std::string_view to,
                                                 const VariableSource* checkpoint,
                                                 Background background);

}  // namespace oriel::nets
