// A serialized GraphDef without the contents of its large constants: what is left of a
// network of hundreds of megabytes is small, and quick to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"

namespace oriel::graph {

// Where the tensor_content of a Const node's value lies in the serialized GraphDef.
struct ContentPlace {
  std::string node;
  uint64_t offset = 0;
  uint64_t size = 0;

  bool operator==(const ContentPlace&) const = default;
};

struct SplitGraph {
  std::string graph;  // a serialized GraphDef; the nodes of `contents` lack theirs
  std::vector<ContentPlace> contents;  // in the graph's order
};

// Takes contents of `least` bytes or more out. Reads what lies before and after them,
// but never their bytes. A node that is written in an uncommon way (a field twice) stays
// whole. kDataLoss for bytes that are no protobuf message; what is a GraphDef else, the
// parser of `graph` will say.
absl::StatusOr<SplitGraph> SplitGraphDef(Bytes serialized, std::string_view what,
                                         uint64_t least);

}  // namespace oriel::graph
