#include "engine/kernels/grid_pieces.h"

#include <algorithm>

namespace oriel::engine::kernels {
namespace {

constexpr int64_t kPiecesOfAThread = 16;

int64_t Size(const Range& range) { return range.end - range.begin; }

Range Part(const Range& range, int64_t i, int64_t parts) {
  const Range share = Share(Size(range), i, parts);
  return {range.begin + share.begin, range.begin + share.end};
}

int64_t DivideUp(int64_t n, int64_t by) { return (n + by - 1) / by; }

}  // namespace

GridPieces::Cell GridPieces::CellOf(int thread) const {
  Cell cell;
  cell.positions = Share(positions_, thread % grid_.pixels, grid_.pixels);
  cell.panels = Share(panels_, thread / grid_.pixels, grid_.panels);
  cell.blocks = DivideUp(Size(cell.positions), block_);
  cell.groups = std::min(groups_, Size(cell.panels));
  return cell;
}

int64_t GridPieces::count(int thread) const {
  const Cell cell = CellOf(thread);
  return cell.blocks * cell.groups;
}

GridPieces::Piece GridPieces::At(int thread, int64_t index) const {
  const Cell cell = CellOf(thread);
  return {.positions = Part(cell.positions, index / cell.groups, cell.blocks),
          .panels = Part(cell.panels, index % cell.groups, cell.groups)};
}

GridPieces PiecesOfPanels(const Grid& grid, int64_t positions, int64_t block,
                          int64_t panels, double panel_work) {
  constexpr double kLeastWork = 100e3;
  const double block_work =
      panel_work * static_cast<double>(block * panels) / grid.panels;
  const int64_t blocks = std::max<int64_t>(positions / grid.pixels / block, 1);
  const int64_t groups =
      std::clamp<int64_t>(static_cast<int64_t>(block_work / kLeastWork), 1,
                          DivideUp(kPiecesOfAThread, blocks));
  return {grid, positions, block, panels, groups};
}

GridPieces PiecesOfLines(int64_t lines, int threads, int64_t least) {
  const int64_t block = std::max<int64_t>(lines / (threads * kPiecesOfAThread), least);
  return {{.pixels = threads}, lines, block};
}

}  // namespace oriel::engine::kernels
