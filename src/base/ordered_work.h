// Many pieces of work done by several threads, whose results one thread takes in order.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/interrupt.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/threads.h"

namespace oriel {

// Calls work(i) for each i below `count` on `threads` threads, and take(i, result) in the
// order of i on the calling thread. Beside the one that is taken, never more than `ahead`
// results wait or are being made. `work` is called by several threads at once and throws
// nothing; T is movable. Ends at the first error of `take`, with that error, and after
// Ctrl-C with kCancelled; work that has begun is waited for. Throws std::system_error
// where the system refuses the threads.
template <typename T>
class OrderedWork {
 public:
  using Work = std::function<T(size_t)>;
  using Take = std::function<absl::Status(size_t, T)>;

  static absl::Status Run(size_t count, int threads, size_t ahead, const Work& work,
                          const Take& take) {
    OrderedWork ordered(count, std::max<size_t>(ahead, 1), work);
    return ordered.RunAll(threads, take);
  }

 private:
  OrderedWork(size_t count, size_t ahead, const Work& work)
      : count_(count), ahead_(ahead), work_(work), slots_(ahead) {}

  absl::Status RunAll(int threads, const Take& take) {
    std::vector<std::thread> workers;
    const int most = static_cast<int>(std::min(count_, ahead_));
    StartThreads(
        workers, 0, std::clamp(threads, 1, std::max(most, 1)), [this](int) { Loop(); },
        [this] { Stop(); });
    absl::Status status;
    for (size_t i = 0; i < count_ && status.ok(); ++i) {
      std::optional<T> result = WaitFor(i);
      status = result ? take(i, *std::move(result)) : CheckInterrupted();
    }
    Stop();
    for (std::thread& worker : workers) worker.join();
    return status;
  }

  void Stop() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    room_.NotifyAll();
  }

  // The next piece; nullopt at the end.
  std::optional<size_t> Claim() {
    const MutexLock lock(mutex_);
    while (!stopping_ && next_ < count_ && next_ >= taken_ + ahead_) {
      room_.Wait(mutex_);
    }
    if (stopping_ || next_ >= count_) return std::nullopt;
    return next_++;
  }

  void Loop() {
    while (const auto i = Claim()) {
      T result = work_(*i);
      const MutexLock lock(mutex_);
      slots_[*i % ahead_].emplace(std::move(result));
      done_.NotifyOne();
    }
  }

  // nullopt: interrupted.
  std::optional<T> WaitFor(size_t i) {
    constexpr std::chrono::milliseconds kInterruptPoll{100};
    std::optional<T> result;
    {
      const MutexLock lock(mutex_);
      std::optional<T>& slot = slots_[i % ahead_];
      while (!slot) {
        if (Interrupted()) return std::nullopt;
        done_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kInterruptPoll);
      }
      if (Interrupted()) return std::nullopt;
      result = std::move(slot);
      slot.reset();
      taken_ = i + 1;
    }
    room_.NotifyAll();
    return result;
  }

  const size_t count_;
  const size_t ahead_;
  const Work& work_;
  Mutex mutex_;
  CondVar room_;  // a slot became free
  CondVar done_;  // a result is there
  // Result i is in slot i modulo `ahead`.
  std::vector<std::optional<T>> slots_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace oriel
