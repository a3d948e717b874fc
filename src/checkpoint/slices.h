// Partitioned variables of TensorFlow checkpoints: a variable cut into slices
// that are stored one by one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/slice.h"
#include "tensorflow/tensor.pb.h"

namespace oriel::checkpoint {

// kDataLoss for negative numbers.
absl::StatusOr<Slice> SliceFromProto(const tensorflow::TensorSliceProto& proto);

// The key of a slice's record: OrderedCode of 0, the name, the rank, and start
// and length of each dimension (TensorFlow's saved_tensor_slice_util). Keys sort
// as the tuples of their parts do.
std::string SliceKey(std::string_view name, const Slice& slice);

// OK when the slices cover `whole` exactly once, else kDataLoss that names
// `what`. At most 4096 slices.
absl::Status CheckTiling(std::span<const Slice> slices, const Shape& whole,
                         std::string_view what);

}  // namespace oriel::checkpoint
