// Keras's weights in HDF5 files, and the datasets of other HDF5 files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/file_bytes.h"
#include "tensor/variable_source.h"

namespace oriel::checkpoint {

// Names are
// - of weights as Keras 1 and 2 save them (layer_names and weight_names; in whole
//   models under model_weights, of which the optimizer's state is left out):
//   "LAYER/VARIABLE", "conv2d_1/kernel", without the ":0" that early versions add;
// - elsewhere, .weights.h5 of Keras 3 included, the paths of datasets:
//   "layers/conv2d/vars/0".
// Datasets in one piece are views of the file where they are aligned. kDataLoss for
// broken files; kUnimplemented for what hdf5_file.h refuses, and for elements that
// Oriel has no tensors of. Only libver='latest' files have checksums: they are not
// compared.
absl::StatusOr<std::shared_ptr<const VariableSource>> OpenHdf5(FileBytes file);

// The names of the variables of each layer that has any, in the order of layer_names and
// weight_names, by which Keras itself loads such a file. Empty for other sources than
// OpenHdf5's of files with those lists.
std::vector<std::vector<std::string>> KerasLayers(const VariableSource& source);

}  // namespace oriel::checkpoint
