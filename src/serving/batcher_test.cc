#include "serving/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "base/testing.h"
#include "serving/testing.h"
#include "serving/worker_pool.h"

namespace oriel::serving {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

// What a `done` was given.
struct Outcome {
  absl::Status status;
  int top = -1;
  int batch_size = 0;
};

class BatcherTest : public testing::Test {
 protected:
  void Start(int workers, const BatcherOptions& options) {
    std::vector<std::unique_ptr<model::Session::Runner>> runners;
    for (int i = 0; i < workers; ++i) {
      auto runner = session_->NewRunner();
      ASSERT_OK(runner.status());
      runners.push_back(*std::move(runner));
    }
    batcher_ = std::make_unique<Batcher>(std::move(runners), session_->image_elements(),
                                         FakeSession::kClasses, options, clock_);
  }

  void AwaitIdle(int workers) {
    while (batcher_->idle_workers() < workers) std::this_thread::yield();
  }

  // Until Stop has begun.
  void AwaitRefusal() {
    while (!absl::IsUnavailable(Submit(9).status())) std::this_thread::yield();
  }

  // Submits an image of class `shown`.
  absl::StatusOr<std::future<Outcome>> Submit(int shown, TimePoint deadline = kNever,
                                              CancellationPtr cancellation = nullptr,
                                              int priority = kDefaultPriority) {
    BatchRequest request;
    request.priority = priority;
    request.image = std::make_unique<float[]>(session_->image_elements());
    std::fill_n(request.image.get(), session_->image_elements(), shown);
    request.deadline = deadline;
    request.cancellation = std::move(cancellation);
    auto promise = std::make_shared<std::promise<Outcome>>();
    request.done = [promise, this](absl::StatusOr<BatchResult> result) {
      Outcome outcome;
      outcome.status = result.status();
      if (result.ok()) {
        const auto p = result->probabilities;
        outcome.top = static_cast<int>(std::max_element(p.begin(), p.end()) - p.begin());
        outcome.batch_size = result->batch_size;
      }
      {
        const MutexLock lock(mutex_);
        answered_.push_back(outcome.top);
      }
      promise->set_value(outcome);
    };
    const absl::Status status = batcher_->Submit(std::move(request));
    if (!status.ok()) return status;
    return promise->get_future();
  }

  FakeClock clock_;
  std::shared_ptr<FakeSession> session_ = std::make_shared<FakeSession>();
  Mutex mutex_;
  std::vector<int> answered_ ABSL_GUARDED_BY(mutex_);  // in this order
  std::unique_ptr<Batcher> batcher_;
};

TEST_F(BatcherTest, IdleServerAddsNoDelay) {
  Start(1, {.max_batch = 4, .max_delay = std::chrono::hours(1)});
  // The clock stands still: an answer proves that nothing waited for it.
  for (int shown : {3, 5}) {
    AwaitIdle(1);
    ASSERT_OK_AND_ASSIGN(auto answer, Submit(shown));
    const Outcome outcome = answer.get();
    EXPECT_OK(outcome.status);
    EXPECT_EQ(outcome.top, shown);
    EXPECT_EQ(outcome.batch_size, 1);
  }
}

TEST_F(BatcherTest, WhatWaitedTogetherRunsTogetherUpToMaxBatch) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 3, .max_delay = milliseconds(0)});
  ASSERT_OK_AND_ASSIGN(auto first, Submit(0));
  session_->run_gate().AwaitArrived(1);
  std::vector<std::future<Outcome>> answers;
  for (int shown : {1, 2, 3, 4}) {
    ASSERT_OK_AND_ASSIGN(auto answer, Submit(shown));
    answers.push_back(std::move(answer));
  }
  EXPECT_EQ(batcher_->queue_size(), 4);
  session_->run_gate().Open();
  first.get();
  for (int i = 0; i < 4; ++i) {
    const Outcome outcome = answers[i].get();
    EXPECT_EQ(outcome.top, i + 1) << "answers must not be swapped within a batch";
    EXPECT_EQ(outcome.batch_size, i < 3 ? 3 : 1);
  }
  EXPECT_THAT(session_->batch_sizes(), ElementsAre(1, 3, 1));
}

TEST_F(BatcherTest, BusyWorkerHoldsRequestsUntilMaxDelay) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 4, .max_delay = milliseconds(10)});
  ASSERT_OK_AND_ASSIGN(auto first, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto second, Submit(1));
  session_->run_gate().Open();
  first.get();
  clock_.AwaitWaiter();  // the worker holds `second` for company
  clock_.Advance(milliseconds(9));
  ASSERT_OK_AND_ASSIGN(auto third, Submit(2));
  EXPECT_EQ(session_->runs(), 1);
  clock_.AwaitWaiter();
  clock_.Advance(milliseconds(1));  // 10 ms since `second` came
  EXPECT_EQ(second.get().batch_size, 2);
  EXPECT_EQ(third.get().batch_size, 2);
}

TEST_F(BatcherTest, FullBatchEndsTheHold) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 2, .max_delay = std::chrono::hours(1)});
  ASSERT_OK_AND_ASSIGN(auto first, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto second, Submit(1));
  session_->run_gate().Open();
  first.get();
  clock_.AwaitWaiter();
  ASSERT_OK_AND_ASSIGN(auto third, Submit(2));
  EXPECT_EQ(second.get().batch_size, 2);
  EXPECT_EQ(third.get().top, 2);
}

TEST_F(BatcherTest, HoldCountsFromArrivalNotFromTheWorker) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 4, .max_delay = milliseconds(10)});
  ASSERT_OK_AND_ASSIGN(auto first, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto second, Submit(1));
  clock_.Advance(milliseconds(10));  // while the network ran
  session_->run_gate().Open();
  EXPECT_EQ(second.get().batch_size, 1);
}

TEST_F(BatcherTest, WorkersShareWhatWaits) {
  Start(2, {.max_batch = 4, .max_delay = std::chrono::hours(1)});
  AwaitIdle(2);
  session_->run_gate().Close();
  ASSERT_OK_AND_ASSIGN(auto first, Submit(1));
  ASSERT_OK_AND_ASSIGN(auto second, Submit(2));
  session_->run_gate().AwaitArrived(2);  // both run at the same time
  session_->run_gate().Open();
  EXPECT_EQ(first.get().top, 1);
  EXPECT_EQ(second.get().top, 2);
}

TEST_F(BatcherTest, TheUrgentGoFirst) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 2, .max_delay = milliseconds(0)});
  ASSERT_OK_AND_ASSIGN(auto first, Submit(0));
  session_->run_gate().AwaitArrived(1);
  std::vector<std::future<Outcome>> answers;
  const std::pair<int, int> shown_and_priority[] = {
      {1, 5}, {2, 10}, {3, 1}, {4, 5}, {5, 1}};
  for (const auto& [shown, priority] : shown_and_priority) {
    ASSERT_OK_AND_ASSIGN(auto answer, Submit(shown, kNever, nullptr, priority));
    answers.push_back(std::move(answer));
  }
  EXPECT_EQ(batcher_->queue_size(), 5);
  session_->run_gate().Open();
  first.get();
  for (auto& answer : answers) EXPECT_OK(answer.get().status);
  const MutexLock lock(mutex_);
  EXPECT_THAT(answered_, ElementsAre(0, 3, 5, 1, 4, 2));
}

TEST_F(BatcherTest, FullQueueRefusesAtOnce) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 1, .max_queue = 2});
  ASSERT_OK_AND_ASSIGN(auto running, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto a, Submit(1));
  ASSERT_OK_AND_ASSIGN(auto b, Submit(2));
  EXPECT_EQ(Submit(3).status().code(), absl::StatusCode::kResourceExhausted);
  session_->run_gate().Open();
  EXPECT_EQ(a.get().top, 1);
  EXPECT_EQ(b.get().top, 2);
}

TEST_F(BatcherTest, QueueIsBoundedInBytesToo) {
  session_->run_gate().Close();
  const uint64_t image_bytes = session_->image_elements() * sizeof(float);
  Start(1, {.max_batch = 1, .max_queue = 100, .max_queue_bytes = 2 * image_bytes + 1});
  ASSERT_OK_AND_ASSIGN(auto running, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto a, Submit(1));
  ASSERT_OK_AND_ASSIGN(auto b, Submit(2));
  EXPECT_EQ(Submit(3).status().code(), absl::StatusCode::kResourceExhausted);
  session_->run_gate().Open();
}

TEST_F(BatcherTest, ExpiredAndCancelledNeverReachTheNetwork) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 4, .max_delay = milliseconds(0)});
  ASSERT_OK_AND_ASSIGN(auto running, Submit(0));
  session_->run_gate().AwaitArrived(1);
  auto cancellation = std::make_shared<Cancellation>();
  ASSERT_OK_AND_ASSIGN(auto expires, Submit(1, clock_.Now() + milliseconds(5)));
  ASSERT_OK_AND_ASSIGN(auto cancelled, Submit(2, kNever, cancellation));
  ASSERT_OK_AND_ASSIGN(auto alive, Submit(3, clock_.Now() + milliseconds(6)));
  cancellation->Cancel();
  clock_.Advance(milliseconds(5));
  session_->run_gate().Open();
  EXPECT_EQ(expires.get().status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(cancelled.get().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(alive.get().top, 3);
  EXPECT_THAT(session_->batch_sizes(), ElementsAre(1, 1));
}

TEST_F(BatcherTest, LateOrCancelledIsRefusedAtTheDoor) {
  Start(1, {});
  EXPECT_EQ(Submit(1, clock_.Now()).status().code(), absl::StatusCode::kDeadlineExceeded);
  auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  EXPECT_EQ(Submit(1, kNever, cancellation).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(session_->runs(), 0);
}

TEST_F(BatcherTest, TheDeadMakeRoomInAFullQueue) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 4, .max_delay = milliseconds(0), .max_queue = 2});
  ASSERT_OK_AND_ASSIGN(auto running, Submit(0));
  session_->run_gate().AwaitArrived(1);
  auto cancellation = std::make_shared<Cancellation>();
  ASSERT_OK_AND_ASSIGN(auto expires, Submit(1, clock_.Now() + milliseconds(5)));
  ASSERT_OK_AND_ASSIGN(auto cancelled, Submit(2, kNever, cancellation));
  cancellation->Cancel();
  clock_.Advance(milliseconds(5));
  ASSERT_OK_AND_ASSIGN(auto a, Submit(3));
  // They are answered now, not when the worker comes.
  EXPECT_EQ(expires.get().status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(cancelled.get().status.code(), absl::StatusCode::kCancelled);
  session_->run_gate().Open();
  EXPECT_EQ(a.get().top, 3);
}

TEST_F(BatcherTest, FailedRunAnswersEveryRequestOfItsBatch) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 4, .max_delay = milliseconds(0)});
  ASSERT_OK_AND_ASSIGN(auto running, Submit(0));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto good, Submit(1));
  ASSERT_OK_AND_ASSIGN(auto bad, Submit(99));  // no such class: Run fails
  session_->run_gate().Open();
  EXPECT_EQ(good.get().status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(bad.get().status.code(), absl::StatusCode::kInternal);
  clock_.Advance(milliseconds(1));
  ASSERT_OK_AND_ASSIGN(auto after, Submit(4));
  EXPECT_EQ(after.get().top, 4);
}

TEST_F(BatcherTest, StopFinishesWhatWaits) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 1, .max_delay = std::chrono::hours(1)});
  ASSERT_OK_AND_ASSIGN(auto a, Submit(1));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto b, Submit(2));
  std::thread stopper([&] { batcher_->Stop(kNever); });
  AwaitRefusal();
  session_->run_gate().Open();
  stopper.join();
  EXPECT_EQ(a.get().top, 1);
  EXPECT_EQ(b.get().top, 2);
}

TEST_F(BatcherTest, StopPastItsDeadlineAnswersUnavailable) {
  session_->run_gate().Close();
  Start(1, {.max_batch = 1});
  ASSERT_OK_AND_ASSIGN(auto a, Submit(1));
  session_->run_gate().AwaitArrived(1);
  ASSERT_OK_AND_ASSIGN(auto b, Submit(2));
  std::thread stopper([&] { batcher_->Stop(clock_.Now() + milliseconds(5)); });
  AwaitRefusal();
  clock_.Advance(milliseconds(5));
  session_->run_gate().Open();
  stopper.join();
  EXPECT_OK(a.get().status);  // what runs is finished
  EXPECT_EQ(b.get().status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(BatcherTest, ManyThreadsEachGetTheirOwnAnswer) {
  Start(3, {.max_batch = 4, .max_delay = milliseconds(0), .max_queue = 10000});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const int shown = (t + i) % FakeSession::kClasses;
        auto answer = Submit(shown);
        if (!answer.ok() || answer->get().top != shown) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(WorkerPoolTest, BoundedQueueAndUrgentFirst) {
  Gate gate(false);
  std::vector<int> order;
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.TrySubmit([&] { gate.Pass(); }));
  gate.AwaitArrived(1);
  ASSERT_TRUE(pool.TrySubmit([&] { order.push_back(1); }));
  ASSERT_TRUE(pool.TrySubmit([&] { order.push_back(2); }));
  EXPECT_FALSE(pool.TrySubmit([&] { order.push_back(3); }));
  pool.SubmitUrgent([&] { order.push_back(4); });
  gate.Open();
  pool.Stop();
  EXPECT_THAT(order, ElementsAre(4, 1, 2));
  EXPECT_FALSE(pool.TrySubmit([&] { order.push_back(5); }));
  pool.SubmitUrgent([&] { order.push_back(6); });
  EXPECT_THAT(order, ElementsAre(4, 1, 2, 6));
}

}  // namespace
}  // namespace oriel::serving
