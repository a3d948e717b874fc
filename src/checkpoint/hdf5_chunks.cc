#include "checkpoint/hdf5_chunks.h"

#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

namespace oriel::checkpoint {
namespace {

// Bytes of equal places of all elements lie together: undone.
std::string Unshuffle(const std::string& shuffled, size_t element) {
  std::string bytes(shuffled.size(), '\0');
  const size_t count = shuffled.size() / element;
  for (size_t b = 0; b < element; ++b) {
    for (size_t i = 0; i < count; ++i) bytes[i * element + b] = shuffled[b * count + i];
  }
  // what is no whole element is not shuffled
  std::copy(shuffled.begin() + count * element, shuffled.end(),
            bytes.begin() + count * element);
  return bytes;
}

absl::StatusOr<std::string> Inflate(Bytes bytes, size_t size, std::string_view what) {
  std::string inflated(size, '\0');
  uLongf length = size;
  uLong taken = bytes.size();
  const int result = ::uncompress2(reinterpret_cast<Bytef*>(inflated.data()), &length,
                                   bytes.data(), &taken);
  if (result != Z_OK || length != size) {
    return DataLoss("{}: a chunk does not unpack to its {} bytes", what, size);
  }
  return inflated;
}

// The elements of a chunk, its filters undone: as many bytes as chunk_shape has.
absl::StatusOr<std::string> DecodeChunk(const Hdf5Dataset& dataset,
                                        const Hdf5Dataset::Chunk& chunk,
                                        std::string_view what) {
  const size_t size = dataset.chunk_shape.elements() * dataset.type.size;
  std::string bytes;
  bool inflated = false;
  for (size_t i = dataset.filters.size(); i-- > 0;) {
    if (chunk.filter_mask >> i & 1) continue;
    if (dataset.filters[i] == Hdf5Dataset::Filter::kGzip) {
      if (inflated) return Unimplemented("{}: is packed twice", what);
      // gzip comes after shuffle, so that nothing was undone yet
      if (!bytes.empty()) return Unimplemented("{}: is shuffled after packing", what);
      ASSIGN_OR_RETURN(bytes, Inflate(chunk.bytes, size, what));
      inflated = true;
    } else {
      if (bytes.empty()) bytes = AsStringView(chunk.bytes);
      bytes = Unshuffle(bytes, dataset.type.size);
    }
  }
  if (bytes.empty()) bytes = AsStringView(chunk.bytes);
  if (bytes.size() != size) {
    return DataLoss("{}: a chunk has {} bytes, want {}", what, bytes.size(), size);
  }
  return bytes;
}

// Copies a chunk to its place; what lies outside of the shape is padding.
void PlaceChunk(const Hdf5Dataset& dataset, const Hdf5Dataset::Chunk& chunk,
                std::string_view bytes, Tensor& to) {
  const Shape& shape = dataset.shape;
  const Shape& box = dataset.chunk_shape;
  const int rank = shape.rank();
  const size_t element = dataset.type.size;
  if (rank == 0) {
    std::copy_n(bytes.data(), element, to.mutable_bytes().data());
    return;
  }
  const int64_t row = std::min(box.dim(-1), shape.dim(-1) - chunk.start[rank - 1]);
  std::vector<int64_t> at(rank - 1, 0);
  while (true) {
    int64_t from = 0, into = 0;
    for (int d = 0; d < rank; ++d) {
      const int64_t i = d < rank - 1 ? at[d] : 0;
      from = from * box.dim(d) + i;
      into = into * shape.dim(d) + chunk.start[d] + i;
    }
    std::copy_n(bytes.data() + from * element, row * element,
                to.mutable_bytes().data() + into * element);
    int d = rank - 2;
    for (; d >= 0; --d) {
      if (++at[d] < std::min(box.dim(d), shape.dim(d) - chunk.start[d])) break;
      at[d] = 0;
    }
    if (d < 0) return;
  }
}

}  // namespace

absl::StatusOr<Tensor> ReadHdf5Chunks(const Hdf5Dataset& dataset, DType dtype,
                                      std::string_view what) {
  Tensor tensor(dtype, dataset.shape);
  for (const Hdf5Dataset::Chunk& chunk : dataset.chunks) {
    ASSIGN_OR_RETURN(const std::string bytes, DecodeChunk(dataset, chunk, what));
    PlaceChunk(dataset, chunk, bytes, tensor);
  }
  return tensor;
}

}  // namespace oriel::checkpoint
