// Boxes cut out of tensors.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace oriel {

// Of each dimension either all (length -1, start 0) or [start, start + length).
struct Slice {
  std::vector<int64_t> start;
  std::vector<int64_t> length;

  // All of a tensor of that rank.
  static Slice Full(int rank);

  bool operator==(const Slice&) const = default;
};

// Begin and end of dimension `i` of a slice that fits into `whole`.
std::pair<int64_t, int64_t> SliceRange(const Slice& slice, const Shape& whole, int i);

// The size of what `slice` cuts from `whole`. kDataLoss that names `what` when it
// does not fit in.
absl::StatusOr<Shape> SliceShape(const Slice& slice, const Shape& whole,
                                 std::string_view what);

// Copies `part`, which has slice's shape and whole's dtype, into its place.
void CopySlice(const Tensor& part, const Slice& slice, Tensor& whole);
// The other way: what `slice` cuts from `whole`.
Tensor ExtractSlice(const Tensor& whole, const Slice& slice);

}  // namespace oriel
