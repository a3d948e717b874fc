// How output channels are cut into panels and output pixels into tiles, and how the
// work is shared between threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/kernel_table.h"

namespace oriel::engine::kernels {

struct Panels {
  int rows = 1;              // of a tile, at most
  std::vector<int> vectors;  // of each panel, in the order of the channels
  int lanes = 8;

  int64_t width() const;  // of all panels, in floats; at least the channels
};

// Threads in a grid: each has a share of the pixels and a share of the panels.
struct Grid {
  int pixels = 1, panels = 1;
};

struct TilePlan {
  Panels panels;
  Grid grid;
};

// The cheapest way by a model of the loops: the tile's arithmetic, loads and rests.
TilePlan PlanTiles(int64_t pixels, int64_t channels, int threads, const TileSizes& sizes);

// TileArgs::prefetch_stride with which all tiles together fetch a panel.
inline int64_t PrefetchStride(int64_t width, int64_t tiles) {
  return (width * kPrefetchSteps * static_cast<int64_t>(sizeof(float)) + tiles - 1) /
         tiles;
}

// [k][channels] as [panel][k][width], zeros behind the last channel.
void PackPanels(const Panels& panels, int64_t k, int64_t channels, const float* weights,
                float* packed);

}  // namespace oriel::engine::kernels
