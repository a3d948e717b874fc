// Parts of a whole.
#pragma once

#include <cstdint>

namespace oriel::engine::kernels {

struct Range {
  int64_t begin = 0, end = 0;

  bool operator==(const Range&) const = default;
};

// The part of [0, size) that belongs to share `i` of `parts`.
inline Range Share(int64_t size, int64_t i, int64_t parts) {
  return {size * i / parts, size * (i + 1) / parts};
}

}  // namespace oriel::engine::kernels
