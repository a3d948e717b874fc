// What the records of TensorFlow's checkpoints are made of, for those who write them.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "checkpoint/slices.h"
#include "tensor/tensor.h"
#include "tensorflow/checkpoint.pb.h"

namespace oriel::checkpoint {

void SliceToProto(const Slice& slice, tensorflow::TensorSliceProto* proto);

// V1: the values alone, in the typed list of their dtype. kInvalidArgument for dtypes
// that V1 has no list for.
absl::Status FillValues(const Tensor& tensor, tensorflow::TensorProto* proto);

// V2: a tensor as it stands in a data file.
struct StoredTensor {
  Bytes bytes;  // of `text`, or borrowed from the tensor
  uint32_t crc = 0;
  std::string text;  // strings, put together
};
// A string tensor is the lengths as varints, their masked CRC, then the texts; its CRC
// takes the lengths as uint32, or uint64 where one needs it.
StoredTensor ToStored(const Tensor& tensor);

}  // namespace oriel::checkpoint
