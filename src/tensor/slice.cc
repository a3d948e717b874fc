#include "tensor/slice.h"

#include <cstring>
#include <functional>

namespace oriel {
namespace {

// Calls copy(offset in whole, offset in part, bytes) for each contiguous run.
void ForEachRun(const Slice& slice, const Shape& whole, size_t element_size,
                const std::function<void(size_t, size_t, size_t)>& copy) {
  for (int i = 0; i < whole.rank(); ++i) {
    const auto [begin, end] = SliceRange(slice, whole, i);
    if (begin == end) return;
  }
  // Trailing dimensions that are taken whole join the run.
  int inner = whole.rank();
  size_t run = element_size;
  while (inner > 0) {
    const auto [begin, end] = SliceRange(slice, whole, inner - 1);
    --inner;
    run *= static_cast<size_t>(end - begin);
    if (end - begin != whole.dim(inner)) break;
  }
  std::vector<size_t> stride(whole.rank());
  size_t size = element_size;
  for (int i = whole.rank() - 1; i >= 0; --i) {
    stride[i] = size;
    size *= static_cast<size_t>(whole.dim(i));
  }
  std::vector<int64_t> index(whole.rank(), 0);  // within the slice
  size_t part_offset = 0;
  while (true) {
    size_t offset = 0;
    for (int i = 0; i < whole.rank(); ++i) {
      offset += (SliceRange(slice, whole, i).first + index[i]) * stride[i];
    }
    copy(offset, part_offset, run);
    part_offset += run;
    int i = inner - 1;
    for (; i >= 0; --i) {
      const auto [begin, end] = SliceRange(slice, whole, i);
      if (++index[i] < end - begin) break;
      index[i] = 0;
    }
    if (i < 0) return;
  }
}

}  // namespace

std::pair<int64_t, int64_t> SliceRange(const Slice& slice, const Shape& whole, int i) {
  if (slice.length[i] < 0) return {0, whole.dim(i)};
  return {slice.start[i], slice.start[i] + slice.length[i]};
}

Slice Slice::Full(int rank) {
  return {std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, -1)};
}

absl::StatusOr<Shape> SliceShape(const Slice& slice, const Shape& whole,
                                 std::string_view what) {
  if (slice.start.size() != whole.rank()) {
    return DataLoss("{}: slice of {} dimensions in a shape {}", what, slice.start.size(),
                    whole.ToString());
  }
  Shape shape = whole;
  for (int i = 0; i < whole.rank(); ++i) {
    if (slice.length[i] < 0) continue;
    if (slice.start[i] > whole.dim(i) ||
        slice.length[i] > whole.dim(i) - slice.start[i]) {
      return DataLoss("{}: slice of {} from {} in dimension {} of a shape {}", what,
                      slice.length[i], slice.start[i], i, whole.ToString());
    }
    shape.set_dim(i, slice.length[i]);
  }
  return shape;
}

void CopySlice(const Tensor& part, const Slice& slice, Tensor& whole) {
  if (whole.dtype() == DType::kString) {
    ForEachRun(slice, whole.shape(), 1, [&](size_t to, size_t from, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        whole.mutable_strings()[to + i] = part.strings()[from + i];
      }
    });
    return;
  }
  ForEachRun(slice, whole.shape(), ElementSize(whole.dtype()),
             [&](size_t to, size_t from, size_t bytes) {
               std::memcpy(whole.mutable_bytes().data() + to, part.bytes().data() + from,
                           bytes);
             });
}

Tensor ExtractSlice(const Tensor& whole, const Slice& slice) {
  Shape shape = whole.shape();
  for (int i = 0; i < shape.rank(); ++i) {
    if (slice.length[i] >= 0) shape.set_dim(i, slice.length[i]);
  }
  Tensor part(whole.dtype(), shape);
  if (whole.dtype() == DType::kString) {
    ForEachRun(slice, whole.shape(), 1, [&](size_t from, size_t to, size_t count) {
      for (size_t i = 0; i < count; ++i) {
        part.mutable_strings()[to + i] = whole.strings()[from + i];
      }
    });
    return part;
  }
  ForEachRun(slice, whole.shape(), ElementSize(whole.dtype()),
             [&](size_t from, size_t to, size_t bytes) {
               std::memcpy(part.mutable_bytes().data() + to, whole.bytes().data() + from,
                           bytes);
             });
  return part;
}

}  // namespace oriel
