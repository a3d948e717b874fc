// NumPy's .npy files (format versions 1.0 to 3.0; the format is described in
// numpy.lib.format). Written little-endian in C order, read in either byte order and in C
// or Fortran order; no strings, no objects.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/status.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/tensor.h"

namespace oriel {

// `what` names the source in messages. kInvalidArgument or kDataLoss.
absl::StatusOr<Tensor> ParseNpy(Bytes bytes, std::string_view what);
absl::StatusOr<Tensor> ReadNpy(const std::filesystem::path& path);

// kInvalidArgument for types that NumPy has no name for (bfloat16, string).
absl::StatusOr<std::string> FormatNpy(const Tensor& tensor);
// What comes before the elements, which follow in C order. Filled up to `min_size` bytes,
// so that a header with another number of elements can take its place. The size of every
// header is a multiple of 64.
absl::StatusOr<std::string> FormatNpyHeader(DType dtype, const Shape& shape,
                                            size_t min_size = 0);
// Written atomically.
absl::Status WriteNpy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace oriel
