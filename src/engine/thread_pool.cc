#include "engine/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <sched.h>

#include "base/threads.h"

namespace oriel::engine {
namespace {

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits without giving up the core for some ten microseconds, then lets others have it
// in between: on a busy machine the thread that is waited for may need this very core.
class BusyWait {
 public:
  void Wait() {
    Pause();
    if (++rounds_ > kRoundsBeforeYield) sched_yield();
  }
  bool IsLong() const { return rounds_ > kRoundsBeforeYield; }

 private:
  static constexpr int kRoundsBeforeYield = 2000;
  int rounds_ = 0;
};

}  // namespace

ThreadPool::ThreadPool(int threads) : queue_(threads) {
  StartThreads(
      workers_, 1, threads, [this](int thread) { Work(thread); },
      [this] { Start(nullptr, nullptr); });
}

ThreadPool::~ThreadPool() {
  if (workers_.empty()) return;
  Start(nullptr, nullptr);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Start(Function function, const void* data) {
  function_ = function;
  data_ = data;
  working_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
}

void ThreadPool::Finish() {
  BusyWait wait;
  while (working_.load(std::memory_order_acquire) > 0) wait.Wait();
}

void ThreadPool::Work(int thread) {
  for (uint32_t seen = 0;; ++seen) {
    BusyWait wait;
    while (round_.load(std::memory_order_acquire) == seen) {
      wait.Wait();
      if (wait.IsLong() && !awake_.load(std::memory_order_relaxed)) {
        round_.wait(seen, std::memory_order_acquire);
      }
    }
    if (function_ == nullptr) return;
    function_(data_, thread);
    working_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace oriel::engine
