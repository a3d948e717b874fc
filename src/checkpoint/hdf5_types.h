// The messages of HDF5's object headers that describe data: parsers of bytes that know
// nothing of files.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "checkpoint/hdf5_file.h"

namespace oriel::checkpoint {

inline constexpr uint64_t kHdf5Undefined = ~uint64_t{0};

absl::StatusOr<Hdf5Type> ParseHdf5Type(Bytes bytes, std::string_view what);

// A dataspace: [] of a scalar, [0] of a null one.
absl::StatusOr<Shape> ParseHdf5Shape(Bytes bytes, std::string_view what);

// A filter pipeline. kUnimplemented names a filter other than gzip and shuffle.
absl::StatusOr<std::vector<Hdf5Dataset::Filter>> ParseHdf5Filters(Bytes bytes,
                                                                  std::string_view what);

// A data layout.
struct Hdf5Layout {
  enum class Kind { kCompact, kContiguous, kChunked };
  Kind kind = Kind::kCompact;
  Bytes compact;
  uint64_t address = kHdf5Undefined;  // of the data, or of the chunks' tree
  uint64_t size = 0;                  // kContiguous: bytes
  std::vector<int64_t> chunk;         // kChunked: sizes, the last is the element's
};
absl::StatusOr<Hdf5Layout> ParseHdf5Layout(Bytes bytes, std::string_view what);

// An attribute. `name` lives as long as the bytes.
struct Hdf5NamedAttribute {
  std::string_view name;
  Hdf5Attribute attribute;
};
// nullopt: of a type or in a way that nothing here reads.
absl::StatusOr<std::optional<Hdf5NamedAttribute>> ParseHdf5Attribute(
    Bytes bytes, std::string_view what);

}  // namespace oriel::checkpoint
