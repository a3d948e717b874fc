#include "serving/worker_pool.h"

#include <algorithm>
#include <utility>

#include "base/threads.h"

namespace oriel::serving {

WorkerPool::WorkerPool(int threads, size_t max_queue) : max_queue_(max_queue) {
  StartThreads(
      threads_, 0, std::max(1, threads), [this](int) { Work(); },
      [this] { AskToStop(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TrySubmit(Task task) {
  {
    MutexLock lock(mutex_);
    if (stopping_ || queue_.size() >= max_queue_) return false;
    queue_.push_back(std::move(task));
  }
  wake_.NotifyOne();
  return true;
}

void WorkerPool::SubmitUrgent(Task task) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      urgent_.push_back(std::move(task));
      wake_.NotifyOne();
      return;
    }
  }
  std::move(task)();
}

void WorkerPool::AskToStop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
}

void WorkerPool::Stop() {
  AskToStop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerPool::Work() {
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (urgent_.empty() && queue_.empty() && !stopping_) wake_.Wait(mutex_);
      std::deque<Task>& from = urgent_.empty() ? queue_ : urgent_;
      if (from.empty()) return;
      task = std::move(from.front());
      from.pop_front();
    }
    std::move(task)();
  }
}

}  // namespace oriel::serving
