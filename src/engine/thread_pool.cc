#include "engine/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <sched.h>

namespace oriel::engine {
namespace {

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Rounds of Pause before a worker goes to sleep, and before the caller lets others
// have its core: a worker may have been put aside on a busy machine.
constexpr int kSpinsBeforeSleep = 2000;
constexpr int kSpinsBeforeYield = 10000;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { Work(thread); });
  }
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
  for (int spins = 0; working_.load(std::memory_order_acquire) > 0;) {
    if (spins < kSpinsBeforeYield) {
      ++spins;
      Pause();
    } else {
      sched_yield();
    }
  }
}

void ThreadPool::Work(int thread) {
  for (uint32_t seen = 0;; ++seen) {
    for (int spins = 0; round_.load(std::memory_order_acquire) == seen; ++spins) {
      if (spins < kSpinsBeforeSleep) {
        Pause();
      } else {
        round_.wait(seen, std::memory_order_acquire);
      }
    }
    if (function_ == nullptr) return;
    function_(data_, thread);
    working_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace oriel::engine
