// Dynamic batching in front of the plan workers: images that wait at the same
// time go through the network together.
//
// When a batch starts. A worker with nothing to do takes whatever is there at
// once (its even share where several workers are idle), so an idle server adds no
// delay. A worker that comes from a batch and finds fewer than max_batch waiting
// may hold them for company, but only while every other worker is busy, and never
// past max_delay after the oldest arrived.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "model/session.h"
#include "serving/cancellation.h"
#include "serving/clock.h"
#include "serving/priority.h"
#include "serving/statistics.h"

namespace oriel::serving {

struct BatcherOptions {
  int max_batch = 8;
  std::chrono::microseconds max_delay{2000};
  size_t max_queue = 256;                          // images that wait
  uint64_t max_queue_bytes = uint64_t{512} << 20;  // of their floats
  bool pin = true;  // each worker to CPUs of its own (ScopedCpuShare)
};

// What a request's turn in the batcher gave. The span lives for the callback.
struct BatchResult {
  std::span<const float> probabilities;  // num_classes
  TimePoint started, finished;           // of the batch's run
  int batch_size = 0;
};

struct BatchRequest {
  std::unique_ptr<float[]> image;  // image_elements floats
  int priority = kDefaultPriority;
  TimePoint deadline = kNever;
  CancellationPtr cancellation;  // may be null
  // Called once, from a worker or from a thread that submits or stops; must be
  // quick and must not throw. Not called when Submit returns an error.
  absl::AnyInvocable<void(absl::StatusOr<BatchResult>) &&> done;
};

// Thread-safe.
class Batcher {
 public:
  // One worker thread for each runner. image_elements and num_classes are the
  // model's. `clock` outlives the batcher, and so does `statistics`, which is told of
  // batches; it may be null.
  Batcher(std::vector<std::unique_ptr<model::Session::Runner>> runners,
          size_t image_elements, size_t num_classes, const BatcherOptions& options,
          Clock& clock, ModelStatistics* statistics = nullptr);
  // Stop() without grace.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // kResourceExhausted when the queue is full, kUnavailable after Stop,
  // kDeadlineExceeded and kCancelled when it is too late already.
  //
  // Past its deadline, or cancelled, a request that waits is dropped without
  // reaching the network: its `done` gets kDeadlineExceeded or kCancelled when a
  // worker comes to it or when its place is needed.
  absl::Status Submit(BatchRequest request);

  // Takes no more, finishes what waits, and joins the workers. What has not started
  // by `deadline` gets kUnavailable. May be called twice.
  void Stop(TimePoint deadline);

  // Images that wait now.
  size_t queue_size() const;
  // Workers with nothing to do now.
  int idle_workers() const;

 private:
  struct Waiting {
    BatchRequest request;
    TimePoint arrived;
  };
  using Dropped = std::vector<std::pair<BatchRequest, absl::Status>>;

  // A line for each priority, the most urgent first; none is empty.
  using Lines = std::map<int, std::deque<Waiting>>;

  void AskToStop(TimePoint deadline);
  void Work(model::Session::Runner& runner);
  std::vector<Waiting> TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until there is a batch to run and takes it; empty: stop.
  std::vector<Waiting> NextBatch(bool came_from_batch);
  void RunBatch(model::Session::Runner& runner, std::vector<Waiting> batch,
                std::vector<float>& images, std::vector<float>& probabilities);
  // Moves the dead out of the queue.
  void Purge(TimePoint now, Dropped& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // When the image that waits longest came; there is one.
  TimePoint OldestArrival() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Full() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t image_elements_;
  const size_t num_classes_;
  const BatcherOptions options_;
  Clock& clock_;
  ModelStatistics* const statistics_;

  mutable Mutex mutex_;
  CondVar work_;     // idle workers wait here
  CondVar company_;  // workers that hold requests for company wait here
  Lines lines_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // images in all lines
  int idle_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  TimePoint stop_deadline_ ABSL_GUARDED_BY(mutex_) = kNever;
  std::vector<std::unique_ptr<model::Session::Runner>> runners_;
  std::vector<std::thread> threads_;
};

}  // namespace oriel::serving
