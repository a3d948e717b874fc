#include "engine/kernels/panels.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace oriel::engine::kernels {
namespace {

// As many panels of `most` vectors as needed, as even as can be: 5 of 3 are 3 and 2.
std::vector<int> Cut(int64_t vectors, int most) {
  const int64_t panels = (vectors + most - 1) / most;
  std::vector<int> cut;
  for (int64_t i = 0; i < panels; ++i) {
    cut.push_back(static_cast<int>(vectors / panels + (i < vectors % panels)));
  }
  return cut;
}

// Cycles of one step of k for a tile: arithmetic, loads (two a cycle), and no fewer
// than the latency of a multiply-add leaves.
double TileCycles(int rows, int vectors, const TileSizes& sizes) {
  const double arithmetic = rows * vectors / sizes.fma_per_cycle;
  const double loads = (rows + vectors) / 2.0;
  constexpr double kLatency = 4;
  return std::max({arithmetic, loads, kLatency}) + 0.25;
}

// Of the thread that has most to do.
double Cost(int64_t pixels, const Panels& panels, Grid grid, const TileSizes& sizes) {
  const int64_t share = (pixels + grid.pixels - 1) / grid.pixels;
  const int64_t tiles = (share + panels.rows - 1) / panels.rows;
  const double mean_rows = static_cast<double>(share) / static_cast<double>(tiles);
  const auto count = static_cast<int64_t>(panels.vectors.size());
  double worst = 0;
  for (int64_t i = 0; i < grid.panels; ++i) {
    double cycles = 0;
    for (int64_t p = count * i / grid.panels; p < count * (i + 1) / grid.panels; ++p) {
      const int low = static_cast<int>(mean_rows), high = low + (mean_rows > low);
      const double part = mean_rows - low;
      cycles += (1 - part) * TileCycles(low, panels.vectors[p], sizes) +
                part * TileCycles(high, panels.vectors[p], sizes);
    }
    worst = std::max(worst, cycles * static_cast<double>(tiles));
  }
  return worst;
}

}  // namespace

int64_t Panels::width() const {
  int64_t sum = 0;
  for (const int v : vectors) sum += int64_t{v} * lanes;
  return sum;
}

TilePlan PlanTiles(int64_t pixels, int64_t channels, int threads,
                   const TileSizes& sizes) {
  const int64_t vectors = (channels + sizes.lanes - 1) / sizes.lanes;
  TilePlan best;
  double best_cost = std::numeric_limits<double>::infinity();
  for (int most = kMaxPanelVectors; most >= 1; --most) {
    if (sizes.max_rows[most] == 0) continue;
    Panels panels{.vectors = Cut(vectors, most), .lanes = sizes.lanes};
    panels.rows = sizes.max_rows[panels.vectors.front()];  // the widest comes first
    for (int by_panels = 1; by_panels <= threads; ++by_panels) {
      if (threads % by_panels != 0) continue;
      const Grid grid{.pixels = threads / by_panels, .panels = by_panels};
      // Sharing out pixels lets each thread read less of the image: not given up for
      // a little.
      const double cost =
          Cost(pixels, panels, grid, sizes) * (by_panels == 1 ? 1.0 : 1.03);
      if (cost < best_cost) {
        best_cost = cost;
        best = {panels, grid};
      }
    }
  }
  return best;
}

void PackPanels(const Panels& panels, int64_t k, int64_t channels, const float* weights,
                float* packed) {
  int64_t first = 0;
  for (const int v : panels.vectors) {
    const int64_t width = int64_t{v} * panels.lanes;
    const int64_t count = std::min(width, channels - first);
    for (int64_t i = 0; i < k; ++i, packed += width) {
      std::memcpy(packed, weights + i * channels + first, count * sizeof(float));
      std::fill(packed + count, packed + width, 0.0f);
    }
    first += width;
  }
}

}  // namespace oriel::engine::kernels
