// The work of a step as pieces for a WorkQueue.
#pragma once

#include <cstdint>

#include "engine/kernels/range.h"
#include "engine/kernels/work_queue.h"

namespace oriel::engine::kernels {

// Threads in a grid: each has a share of the positions (pixels, tiles, lines) and a share
// of the panels of output channels.
struct Grid {
  int pixels = 1, panels = 1;

  int threads() const { return pixels * panels; }
};

// The share of each thread cut into blocks of positions, and these into groups of panels,
// block after block.
class GridPieces {
 public:
  // Of all threads: `positions` and `panels`. Of a block: at most `block` positions, in
  // `groups` groups, fewer where it has not so many panels.
  GridPieces(const Grid& grid, int64_t positions, int64_t block, int64_t panels = 1,
             int64_t groups = 1)
      : grid_(grid),
        positions_(positions),
        block_(block),
        panels_(panels),
        groups_(groups) {}

  int64_t count(int thread) const;

  struct Piece {
    Range positions, panels;
  };
  Piece At(int thread, int64_t index) const;
  // The first panel that a thread reads.
  int64_t first_panel(int thread) const { return CellOf(thread).panels.begin; }

 private:
  struct Cell {
    Range positions, panels;
    int64_t blocks, groups;
  };
  Cell CellOf(int thread) const;

  Grid grid_;
  int64_t positions_, block_, panels_, groups_;
};

// Calls work(piece, then) for pieces until there are none left (ForPieces). `then`: the
// next piece of the thread's own; null where there is none.
template <typename Work>
void ForGridPieces(WorkQueue* queue, int thread, const GridPieces& pieces,
                   const Work& work) {
  const int64_t own = pieces.count(thread);
  ForPieces(queue, thread, own, [&](int owner, int64_t index) {
    const GridPieces::Piece piece = pieces.At(owner, index);
    if (owner == thread && index + 1 < own) {
      const GridPieces::Piece then = pieces.At(owner, index + 1);
      work(piece, &then);
    } else {
      work(piece, nullptr);
    }
  });
}

// As many groups of panels as make pieces enough for threads to end together, each of
// them with much more to do than taking it costs. panel_work: multiply-adds of a position
// with a panel.
GridPieces PiecesOfPanels(const Grid& grid, int64_t positions, int64_t block,
                          int64_t panels, double panel_work);

// At least `least` lines in each, but for the last ones.
GridPieces PiecesOfLines(int64_t lines, int threads, int64_t least = 1);

}  // namespace oriel::engine::kernels
