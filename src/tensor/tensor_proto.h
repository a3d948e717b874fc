// Tensor to and from TensorFlow's TensorProto.
#pragma once

#include "base/status.h"
#include "tensor/tensor.h"
#include "tensorflow/tensor.pb.h"

namespace oriel {

// The shape as it stands, unknown sizes as -1. kInvalidArgument for unknown rank.
absl::StatusOr<Shape> ShapeFromProto(const tensorflow::TensorShapeProto& proto);
void ShapeToProto(const Shape& shape, tensorflow::TensorShapeProto* proto);

// The tensor that `proto` holds: from tensor_content, or from the typed list of
// its dtype, whose last value fills the rest. kInvalidArgument that names `what`
// when dtype, shape and values do not fit, or when it would take over
// `max_bytes` (a splat of one value to a huge shape).
absl::StatusOr<Tensor> TensorFromProto(const tensorflow::TensorProto& proto,
                                       std::string_view what,
                                       uint64_t max_bytes = uint64_t{2} << 30);

// As above for values whose dtype and shape stand elsewhere (V1 checkpoints):
// those of `proto` are ignored, and the values must be exactly as many.
absl::StatusOr<Tensor> TensorFromValues(const tensorflow::TensorProto& proto, DType dtype,
                                        const Shape& shape, std::string_view what);

// As TensorFlow's make_tensor_proto writes it: tensor_content for arrays of more than one
// element of floats, and of integers but uint16; the typed list else.
void TensorToProto(const Tensor& tensor, tensorflow::TensorProto* proto);

}  // namespace oriel
