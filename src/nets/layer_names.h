// What the layers of a network are called, by those who trained or ported it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/variable_source.h"

namespace oriel::nets {

enum class LayerKind { kConvolution, kDepthwise, kDense };

// Variables of a layer with weights; "" where the naming has none.
struct LayerNames {
  std::string kernel;
  std::string bias;
  std::string gamma;  // of its batch norm, and so on
  std::string beta;
  std::string mean;
  std::string variance;
  std::string counter;  // PyTorch's num_batches_tracked
};

// A network's layers, in one order for all its namings.
struct NamedLayers {
  std::vector<LayerKind> kinds;
  std::vector<LayerNames> layers;
  // Kernels are [out,in,h,w], matrices [out,in], as PyTorch has them; else TensorFlow's
  // [h,w,in,out] and [in,out].
  bool pytorch_layouts = false;
  // What such checkpoints have besides: patterns of names.
  std::vector<std::string> others;
};

// One way to name the variables of a network.
struct Naming {
  std::string_view name;   // "keras"
  std::string_view title;  // for people
};

// The first one is that of the network's own graph.
std::vector<Naming> NamingsOf(std::string_view network);

// The naming that the variables of `checkpoint` follow. kNotFound: none of them.
absl::StatusOr<std::string_view> FindNaming(std::string_view network,
                                            const VariableSource& checkpoint);

// The network is one of Networks(), the naming one of NamingsOf it. `checkpoint` (may be
// nullptr) settles what a naming leaves open: the numbers of Keras's layers.
absl::StatusOr<NamedLayers> LayersByName(std::string_view network,
                                         std::string_view naming,
                                         const VariableSource* checkpoint);

}  // namespace oriel::nets
