// Threads that decode, preprocess and render: what is too long for the I/O thread
// and too small for a plan worker.
#pragma once

#include <absl/functional/any_invocable.h>

#include <deque>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace oriel::serving {

// Thread-safe.
class WorkerPool {
 public:
  using Task = absl::AnyInvocable<void() &&>;  // must not throw

  // threads >= 1; at most `max_queue` tasks of TrySubmit wait.
  WorkerPool(int threads, size_t max_queue);
  // Runs what waits, then joins.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False, and the task is destroyed, when the queue is full or Stop was called.
  // Tasks start in the order they came in.
  [[nodiscard]] bool TrySubmit(Task task);

  // Runs `task` before all that waits: the last step of a request whose work is
  // already paid for. Never refused: after Stop it runs in the caller.
  void SubmitUrgent(Task task);

  // Takes no more, runs what waits, joins. May be called twice.
  void Stop();

 private:
  void AskToStop();
  void Work();

  const size_t max_queue_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> urgent_ ABSL_GUARDED_BY(mutex_);
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace oriel::serving
