// Threads that work on one step of a plan together.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "engine/kernels/work_queue.h"

namespace oriel::engine {

// One caller at a time.
class ThreadPool {
 public:
  // While one lives the threads stay awake between two calls of Run, since the next
  // step of a plan follows at once; otherwise they soon sleep.
  class Awake {
   public:
    explicit Awake(ThreadPool& pool) : pool_(pool) { pool_.awake_ = true; }
    ~Awake() { pool_.awake_ = false; }
    Awake(const Awake&) = delete;
    Awake& operator=(const Awake&) = delete;

   private:
    ThreadPool& pool_;
  };

  // The caller of Run is one of the `threads`.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // For the pieces of one Run.
  kernels::WorkQueue& queue() { return queue_; }

  // Calls work(thread) once for each thread from 0 to size() - 1, all at the same time,
  // and returns when all of them have. `work` throws nothing.
  template <typename Work>
  void Run(const Work& work) {
    if (workers_.empty()) {
      work(0);
      return;
    }
    Start([](const void* data, int thread) { (*static_cast<const Work*>(data))(thread); },
          &work);
    work(0);
    Finish();
  }

 private:
  using Function = void (*)(const void* data, int thread);

  void Start(Function function, const void* data);
  void Finish();
  void Work(int thread);

  kernels::WorkQueue queue_;
  std::vector<std::thread> workers_;
  Function function_ = nullptr;  // null: end
  const void* data_ = nullptr;
  alignas(64) std::atomic<uint32_t> round_{0};
  alignas(64) std::atomic<int> working_{0};
  alignas(64) std::atomic<bool> awake_{false};
};

}  // namespace oriel::engine
