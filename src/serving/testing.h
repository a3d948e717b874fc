// What tests of serving share: a clock that they turn, and a session without an
// engine.
#pragma once

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "model/session.h"
#include "serving/clock.h"

namespace oriel::serving {

// Stands still until Advance.
class FakeClock : public Clock {
 public:
  TimePoint Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }

  void WaitUntil(CondVar& condition, Mutex& mutex, TimePoint deadline) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    {
      MutexLock lock(mutex_);
      if (now_ >= deadline) return;
      waiters_.push_back({&condition, &mutex});
      changed_.NotifyAll();
    }
    condition.Wait(mutex);
    MutexLock lock(mutex_);
    std::erase_if(waiters_, [&](const Waiter& w) { return w.condition == &condition; });
  }

  void Advance(Duration by) {
    std::vector<Waiter> waiters;
    {
      MutexLock lock(mutex_);
      now_ += by;
      waiters = waiters_;
    }
    for (const Waiter& waiter : waiters) {
      // Whoever registered holds this mutex until it really waits.
      { MutexLock lock(*waiter.mutex); }
      waiter.condition->NotifyAll();
    }
  }

  // Blocks until somebody waits for a point in time.
  void AwaitWaiter() {
    MutexLock lock(mutex_);
    while (waiters_.empty()) changed_.Wait(mutex_);
  }

 private:
  struct Waiter {
    CondVar* condition;
    Mutex* mutex;
  };
  mutable Mutex mutex_;
  CondVar changed_;
  TimePoint now_ ABSL_GUARDED_BY(mutex_) = TimePoint(std::chrono::hours(1));
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
};

// A door that calls wait at until it is opened.
class Gate {
 public:
  explicit Gate(bool open = true) : open_(open) {}
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.NotifyAll();
  }
  void Close() {
    MutexLock lock(mutex_);
    open_ = false;
  }
  void Pass() {
    MutexLock lock(mutex_);
    ++arrived_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mutex_);
  }
  // Blocks until `n` calls in all have come to the door.
  void AwaitArrived(int n) {
    MutexLock lock(mutex_);
    while (arrived_ < n) changed_.Wait(mutex_);
  }
  int arrived() {
    MutexLock lock(mutex_);
    return arrived_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_);
  int arrived_ ABSL_GUARDED_BY(mutex_) = 0;
};

inline constexpr std::string_view kFakeSignature = "\x89PNG\r\n\x1a\n";

// An image that FakeSession knows to show class `shown`.
inline std::string FakeImage(int shown, size_t padding = 0) {
  return std::string(kFakeSignature) + static_cast<char>('0' + shown) +
         std::string(padding, 'x');
}

// Deterministic and quick. Images are FakeImages; a signature with anything but a
// digit behind it is a broken image. Probability 0.75 for the class that is shown,
// the rest even.
class FakeSession : public model::Session {
 public:
  static constexpr int kClasses = 10;

  explicit FakeSession(std::string name = "fake", std::string version = "7")
      : name_(std::move(name)), version_(std::move(version)) {
    config_.title = "Fake <Net>";  // a title that must be escaped
    config_.input = "input";
    config_.predictions = "predictions";
    config_.height = 2;
    config_.width = 2;
    config_.num_classes = kClasses;
    config_.provenance.network = "fake";
    config_.provenance.source = "https://weights.example/fake.tar.gz";
    config_.provenance.license = "Apache-2.0";
    config_.provenance.accuracy = "99.9 % of nothing";
    options_.max_batch = 4;
  }

  Gate& preprocess_gate() const { return preprocess_gate_; }
  Gate& run_gate() const { return run_gate_; }
  int runs() const { return runs_; }
  std::vector<int> batch_sizes() const {
    MutexLock lock(mutex_);
    return batch_sizes_;
  }

  const model::ModelConfig& config() const override { return config_; }
  const model::SessionOptions& options() const override { return options_; }
  const engine::PrecisionChoice& precision() const override { return precision_; }
  const std::string& name() const override { return name_; }
  const std::string& version() const override { return version_; }
  int num_classes() const override { return kClasses; }
  size_t image_elements() const override { return 12; }

  absl::Status Preprocess(Bytes image, bool, std::span<float> dst) const override {
    preprocess_gate_.Pass();
    const std::string_view text = AsStringView(image);
    if (!text.starts_with(kFakeSignature)) {
      return InvalidArgument("not an image: {} bytes of no format", image.size());
    }
    const size_t n = kFakeSignature.size();
    if (text.size() <= n || text[n] < '0' || text[n] > '9') {
      return InvalidArgument("broken after byte {}", n);
    }
    std::fill(dst.begin(), dst.end(), static_cast<float>(text[n] - '0'));
    return absl::OkStatus();
  }

  class FakeRunner : public Runner {
   public:
    explicit FakeRunner(std::shared_ptr<const FakeSession> session)
        : session_(std::move(session)) {}
    absl::Status Run(std::span<const float> images, int n,
                     std::span<float> probabilities) override {
      session_->run_gate_.Pass();
      ++session_->runs_;
      {
        MutexLock lock(session_->mutex_);
        session_->batch_sizes_.push_back(n);
      }
      if (images.size() != n * session_->image_elements() ||
          probabilities.size() != n * kClasses) {
        return Internal("wrong sizes");
      }
      std::fill(probabilities.begin(), probabilities.end(), 0.25f / (kClasses - 1));
      for (int i = 0; i < n; ++i) {
        const int shown = static_cast<int>(images[i * session_->image_elements()]);
        if (shown < 0 || shown >= kClasses) return Internal("a class that is none");
        probabilities[i * kClasses + shown] = 0.75f;
      }
      return absl::OkStatus();
    }

   private:
    std::shared_ptr<const FakeSession> session_;
  };

  absl::StatusOr<std::unique_ptr<Runner>> NewRunner() const override {
    return std::make_unique<FakeRunner>(
        std::static_pointer_cast<const FakeSession>(shared_from_this()));
  }

  std::vector<model::ScoredLabel> TopK(std::span<const float> probabilities,
                                       int k) const override {
    std::vector<model::ScoredLabel> labels;
    for (int i = 0; i < kClasses; ++i) {
      labels.push_back({i, fmt::format("n{:08}", i), fmt::format("label {} <b>&\"", i),
                        probabilities[i]});
    }
    std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) {
      return a.probability > b.probability;
    });
    labels.resize(std::clamp(k, 0, kClasses));
    return labels;
  }

 private:
  model::ModelConfig config_;
  engine::PrecisionChoice precision_;
  model::SessionOptions options_;
  const std::string name_;
  const std::string version_;
  mutable Gate preprocess_gate_;
  mutable Gate run_gate_;
  mutable std::atomic<int> runs_{0};
  mutable Mutex mutex_;
  mutable std::vector<int> batch_sizes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving
