// The work of one step in pieces, by work stealing (Blumofe and Leiserson, "Scheduling
// Multithreaded Computations by Work Stealing", 1999): each thread has a share of them,
// and who has done his own takes over what others have not begun. Equal shares do not
// end at the same time where other programs, or other virtual machines, use the cores.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace oriel::engine::kernels {

class WorkQueue {
 public:
  explicit WorkQueue(int threads) : threads_(threads), shares_(new Share[threads]) {}

  int threads() const { return threads_; }

  // Pieces 0 to `pieces` - 1 are the share of `thread`. While nobody takes any.
  void Fill(int thread, int64_t pieces) {
    shares_[thread].left.store(Pack(0, static_cast<uint32_t>(pieces)),
                               std::memory_order_relaxed);
  }

  struct Piece {
    int owner = 0;  // in whose share it is
    int64_t index = 0;
  };

  // The next piece of the thread's own; where none is left, the last one of whoever has
  // most left. Each piece is taken once. Thread-safe.
  std::optional<Piece> Take(int thread) {
    if (const auto index = TakeFrom(shares_[thread], /*first=*/true)) {
      return Piece{thread, *index};
    }
    while (true) {
      int richest = -1;
      uint32_t most = 0;
      for (int other = 0; other < threads_; ++other) {
        const uint64_t left = shares_[other].left.load(std::memory_order_relaxed);
        if (End(left) - Begin(left) > most) {
          most = End(left) - Begin(left);
          richest = other;
        }
      }
      if (richest < 0) return std::nullopt;
      if (const auto index = TakeFrom(shares_[richest], /*first=*/false)) {
        return Piece{richest, *index};
      }
    }
  }

 private:
  // A line of the cache for each.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};  // [begin, end) in its halves
  };

  static uint64_t Pack(uint32_t begin, uint32_t end) {
    return begin | uint64_t{end} << 32;
  }
  static uint32_t Begin(uint64_t left) { return static_cast<uint32_t>(left); }
  static uint32_t End(uint64_t left) { return static_cast<uint32_t>(left >> 32); }

  // Relaxed: what pieces read and write is ordered by the start and the end of the step.
  static std::optional<int64_t> TakeFrom(Share& share, bool first) {
    uint64_t left = share.left.load(std::memory_order_relaxed);
    while (Begin(left) < End(left)) {
      const uint64_t rest =
          first ? Pack(Begin(left) + 1, End(left)) : Pack(Begin(left), End(left) - 1);
      if (share.left.compare_exchange_weak(left, rest, std::memory_order_relaxed)) {
        return first ? Begin(left) : End(left) - 1;
      }
    }
    return std::nullopt;
  }

  int threads_;
  std::unique_ptr<Share[]> shares_;
};

// Calls work(owner, index) for pieces until there are none left: those of the queue, or
// where that is null the `own` ones of the thread's share.
template <typename Work>
void ForPieces(WorkQueue* queue, int thread, int64_t own, const Work& work) {
  if (queue == nullptr) {
    for (int64_t i = 0; i < own; ++i) work(thread, i);
    return;
  }
  while (const auto piece = queue->Take(thread)) work(piece->owner, piece->index);
}

}  // namespace oriel::engine::kernels
