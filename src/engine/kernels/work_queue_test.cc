#include "engine/kernels/work_queue.h"

#include <array>
#include <thread>
#include <vector>

#include "base/testing.h"
#include "engine/thread_pool.h"

namespace oriel::engine::kernels {
namespace {

TEST(WorkQueueTest, OwnPiecesInOrderThenOthersFromTheEnd) {
  WorkQueue queue(3);
  queue.Fill(0, 2);
  queue.Fill(1, 0);
  queue.Fill(2, 4);
  std::vector<std::pair<int, int64_t>> taken;
  ForPieces(&queue, 0, 2, [&](int owner, int64_t index) {
    taken.push_back({owner, index});
  });
  EXPECT_EQ(taken, (std::vector<std::pair<int, int64_t>>{
                       {0, 0}, {0, 1}, {2, 3}, {2, 2}, {2, 1}, {2, 0}}));
  for (int thread = 0; thread < 3; ++thread) EXPECT_FALSE(queue.Take(thread).has_value());
}

TEST(WorkQueueTest, TakesFromWhoHasMostLeft) {
  WorkQueue queue(3);
  queue.Fill(0, 0);
  queue.Fill(1, 2);
  queue.Fill(2, 3);
  std::vector<int> owners;
  ForPieces(&queue, 0, 0, [&](int owner, int64_t) { owners.push_back(owner); });
  ASSERT_EQ(owners.size(), 5u);
  EXPECT_EQ(owners.front(), 2);
}

TEST(WorkQueueTest, WithoutAQueueEachHasItsShare) {
  std::vector<int64_t> indices;
  ForPieces(nullptr, 1, 3, [&](int owner, int64_t index) {
    EXPECT_EQ(owner, 1);
    indices.push_back(index);
  });
  EXPECT_EQ(indices, (std::vector<int64_t>{0, 1, 2}));
}

TEST(WorkQueueTest, EachPieceIsTakenOnce) {
  constexpr int kThreads = 4;
  constexpr std::array<int64_t, kThreads> kPieces = {20'000, 0, 3, 7'000};
  WorkQueue queue(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) queue.Fill(thread, kPieces[thread]);
  std::array<std::vector<std::atomic<int>>, kThreads> taken = {
      std::vector<std::atomic<int>>(kPieces[0]),
      std::vector<std::atomic<int>>(kPieces[1]),
      std::vector<std::atomic<int>>(kPieces[2]),
      std::vector<std::atomic<int>>(kPieces[3])};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      ForPieces(&queue, thread, 0,
                [&](int owner, int64_t index) { ++taken[owner][index]; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& of_owner : taken) {
    for (const auto& times : of_owner) ASSERT_EQ(times, 1);
  }
}

// As the steps of a plan use it: filled anew for each.
TEST(WorkQueueTest, ServesStepAfterStep) {
  constexpr int kThreads = 3, kSteps = 500;
  ThreadPool pool(kThreads);
  const ThreadPool::Awake awake(pool);
  for (int step = 0; step < kSteps; ++step) {
    std::vector<std::atomic<int>> taken(kThreads * 7);
    for (int thread = 0; thread < kThreads; ++thread) {
      pool.queue().Fill(thread, (step + thread) % 8);
    }
    pool.Run([&](int thread) {
      ForPieces(&pool.queue(), thread, 0,
                [&](int owner, int64_t index) { ++taken[owner * 7 + index]; });
    });
    for (int owner = 0; owner < kThreads; ++owner) {
      for (int i = 0; i < 7; ++i) {
        ASSERT_EQ(taken[owner * 7 + i], i < (step + owner) % 8 ? 1 : 0)
            << "step " << step;
      }
    }
  }
}

}  // namespace
}  // namespace oriel::engine::kernels
