// Threads that work on one step of a plan together.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace oriel::engine {

// Between two calls of Run the threads wait busily for some ten microseconds, since
// the next step of a plan follows at once, and then sleep. One caller at a time.
class ThreadPool {
 public:
  // The caller of Run is one of the `threads`.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

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

  std::vector<std::thread> workers_;
  Function function_ = nullptr;  // null: end
  const void* data_ = nullptr;
  alignas(64) std::atomic<uint32_t> round_{0};
  alignas(64) std::atomic<int> working_{0};
};

}  // namespace oriel::engine
