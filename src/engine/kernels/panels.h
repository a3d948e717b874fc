// How output channels are cut into panels and output pixels into tiles, and how the
// work is shared between threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/kernels/grid_pieces.h"
#include "engine/kernels/kernel_table.h"

namespace oriel::engine::kernels {

struct Panels {
  int rows = 1;              // of a tile, at most
  std::vector<int> vectors;  // of each panel, in the order of the channels
  int lanes = 8;

  int64_t count() const { return static_cast<int64_t>(vectors.size()); }
  // Of a panel; of the one behind the last: the width of all.
  int64_t first_channel(int64_t panel) const;
  int64_t width() const { return first_channel(count()); }  // at least the channels
  std::string Form() const;  // what packed weights depend on: "8,3,2"
};

// What a convolution multiplies: [positions, k] by [k, channels]. Direct sums do it once
// for their pixels; Winograd's algorithm once for each point of its domain, the positions
// being tiles, with a transform before and after.
struct Products {
  int64_t positions = 0;
  int64_t k = 0;  // in floats, or in fours of bytes
  int64_t channels = 0;
  int64_t points = 1;
  bool transformed = false;
};

// One way to cut up a convolution.
struct Tiling {
  Panels panels;
  Grid grid;
  int64_t block = 1;  // positions that a thread takes through all panels, at most
  double cycles = 0;  // of the thread that has most to do, by a model

  std::string ToString() const;  // "6x16 1x2 block 96"
};

// All ways that are worth a try, the cheapest first; at least one.
std::vector<Tiling> RankTilings(const Products& products, int threads,
                                const TileSizes& sizes);

// TileArgs::prefetch_stride with which all tiles together fetch a panel.
inline int64_t PrefetchStride(int64_t width, int64_t tiles) {
  return (width * kPrefetchSteps * static_cast<int64_t>(sizeof(float)) + tiles - 1) /
         tiles;
}

// [k][channels] as [panel][k][width], zeros behind the last channel.
void PackPanels(const Panels& panels, int64_t k, int64_t channels, const float* weights,
                float* packed);

}  // namespace oriel::engine::kernels
