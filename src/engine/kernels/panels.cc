#include "engine/kernels/panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "engine/kernels/conv.h"

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
double TileCycles(double rows, int vectors, const TileSizes& sizes) {
  const double arithmetic = rows * vectors / sizes.fma_per_cycle;
  const double loads = (rows + vectors) / 2;
  constexpr double kLatency = 4;
  return std::max({arithmetic, loads, kLatency}) + 0.25;
}

// A model of what the thread that has most to do spends. Its numbers were fitted to the
// layers of Inception-ResNet-v2, in all tilings, on two Zen 3 cores.
double Cycles(const Products& products, const Tiling& tiling, const TileSizes& sizes) {
  const Panels& panels = tiling.panels;
  const auto k = static_cast<double>(products.k);
  const auto points = static_cast<double>(products.points);
  constexpr double kFloat = sizeof(float);
  const int64_t share =
      (products.positions + tiling.grid.pixels - 1) / tiling.grid.pixels;
  const auto blocks = static_cast<double>((share + tiling.block - 1) / tiling.block);
  const double in_block = static_cast<double>(share) / blocks;
  const double tiles = std::ceil(in_block / panels.rows);
  const double rows = in_block / tiles;
  const double low = std::floor(rows), part = rows - low;
  // Of all panels, the first thread in the grid has the widest.
  const auto count = panels.count();
  const int64_t mine = (count + tiling.grid.panels - 1) / tiling.grid.panels;
  double step = 0;
  double vectors = 0;
  for (int64_t p = 0; p < mine; ++p) {
    step += (1 - part) * TileCycles(low, panels.vectors[p], sizes) +
            part * TileCycles(std::ceil(rows), panels.vectors[p], sizes);
    vectors += panels.vectors[p];
  }
  constexpr double kFarByte = 0.06;  // from beyond the second level cache
  const double weights = points * k * vectors * panels.lanes * kFloat;
  double cycles = blocks * (step * tiles * k * points + weights * kFarByte);
  if (products.transformed) {
    const double in = k / panels.lanes;  // vectors of a position
    constexpr double kTransform = 3;     // of a vector of a point
    cycles += static_cast<double>(share) * points * (in + vectors) * kTransform;
    const double bytes = points * (in + vectors) * panels.lanes * kFloat;
    // What the cache does not hold is written and read farther away.
    const double kept = 0.75 * static_cast<double>(SecondLevelCache());
    const double lost = std::max(0.0, 1 - kept / (bytes * in_block));
    constexpr double kSpilledByte = 0.3;
    cycles += static_cast<double>(share) * bytes * 2 * lost * kSpilledByte;
  }
  return cycles;
}

// Channels are cut evenly: the widest panel tells all of them.
bool Same(const Tiling& a, const Tiling& b) {
  return a.panels.vectors.front() == b.panels.vectors.front() &&
         a.grid.panels == b.grid.panels && a.block == b.block;
}

}  // namespace

int64_t Panels::first_channel(int64_t panel) const {
  int64_t sum = 0;
  for (int64_t i = 0; i < panel; ++i) sum += vectors[i];
  return sum * lanes;
}

std::string Panels::Form() const {
  return fmt::format("{},{}", lanes, fmt::join(vectors, ","));
}

std::string Tiling::ToString() const {
  return fmt::format("{}x{} {}x{} block {}", panels.rows,
                     panels.vectors.front() * panels.lanes, grid.pixels, grid.panels,
                     block);
}

std::vector<Tiling> RankTilings(const Products& products, int threads,
                                const TileSizes& sizes) {
  const int64_t vectors = (products.channels + sizes.lanes - 1) / sizes.lanes;
  std::vector<Tiling> tilings;
  const auto add = [&](Tiling tiling, int64_t tiles) {
    const int64_t share =
        (products.positions + tiling.grid.pixels - 1) / tiling.grid.pixels;
    tiling.block =
        std::max<int64_t>(std::min(tiles * int64_t{tiling.panels.rows}, share), 1);
    for (const Tiling& other : tilings) {
      if (Same(other, tiling)) return;
    }
    tiling.cycles = Cycles(products, tiling, sizes);
    // By measurement, where the model sees no difference: the second widest tile of
    // AVX2 (6x16, not 4x24), and pixels shared out rather than panels.
    if (tiling.panels.vectors.front() != sizes.best_vectors) tiling.cycles *= 1.01;
    if (tiling.grid.panels > 1) tiling.cycles *= 1.01;
    tilings.push_back(std::move(tiling));
  };
  for (int most = kMaxPanelVectors; most >= 1; --most) {
    if (sizes.max_rows[most] == 0) continue;
    Tiling tiling{.panels = {.vectors = Cut(vectors, most), .lanes = sizes.lanes}};
    // The widest panel comes first.
    tiling.panels.rows = sizes.max_rows[tiling.panels.vectors.front()];
    for (int by_panels = 1; by_panels <= threads; ++by_panels) {
      if (threads % by_panels != 0) continue;
      tiling.grid = {.pixels = threads / by_panels, .panels = by_panels};
      // Direct sums stream the image well from anywhere; a block only needs to be large
      // enough for the weights to be worth their way.
      add(tiling, 32);
      add(tiling, 12);
      if (products.transformed) {
        for (const int64_t tiles : {4, 8, 16, 64, 256}) add(tiling, tiles);
      }
    }
  }
  std::stable_sort(tilings.begin(), tilings.end(),
                   [](const Tiling& a, const Tiling& b) { return a.cycles < b.cycles; });
  return tilings;
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
