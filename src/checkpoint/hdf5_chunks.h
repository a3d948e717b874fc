// The elements of an HDF5 dataset that is stored in chunks.
#pragma once

#include <string_view>

#include "base/status.h"
#include "checkpoint/hdf5_file.h"
#include "tensor/tensor.h"

namespace oriel::checkpoint {

// `dataset` has the layout kChunks, as Hdf5File reads it: a chunk for each place, none
// of which unpacks to more than its stored bytes allow. `dtype` has elements of the
// dataset's size. kDataLoss that names `what` for chunks that do not unpack.
absl::StatusOr<Tensor> ReadHdf5Chunks(const Hdf5Dataset& dataset, DType dtype,
                                      std::string_view what);

}  // namespace oriel::checkpoint
