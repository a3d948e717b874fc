#include "serving/batcher.h"

#include <algorithm>
#include <utility>

#include "base/cpus.h"
#include "base/threads.h"

namespace oriel::serving {
namespace {

// OK while the request is worth running.
absl::Status CheckAlive(const BatchRequest& request, TimePoint now) {
  if (IsCancelled(request.cancellation)) return Cancelled("nobody waits for the answer");
  if (now >= request.deadline) {
    return DeadlineExceeded("the deadline passed while the image waited");
  }
  return absl::OkStatus();
}

}  // namespace

Batcher::Batcher(std::vector<std::unique_ptr<model::Session::Runner>> runners,
                 size_t image_elements, size_t num_classes, const BatcherOptions& options,
                 Clock& clock, ModelStatistics* statistics)
    : image_elements_(image_elements),
      num_classes_(num_classes),
      options_(options),
      clock_(clock),
      statistics_(statistics),
      runners_(std::move(runners)) {
  const int workers = static_cast<int>(runners_.size());
  const auto work = [this, workers](int i) {
    const ScopedCpuShare cpus(i, options_.pin ? workers : 1);
    Work(*runners_[i]);
  };
  StartThreads(threads_, 0, workers, work, [this] { AskToStop(TimePoint::min()); });
}

Batcher::~Batcher() { Stop(TimePoint::min()); }

bool Batcher::Full() const {
  return waiting_ >= options_.max_queue ||
         (waiting_ + 1) * image_elements_ * sizeof(float) > options_.max_queue_bytes;
}

absl::Status Batcher::Submit(BatchRequest request) {
  const TimePoint now = clock_.Now();
  RETURN_IF_ERROR(CheckAlive(request, now));
  Dropped dropped;
  absl::Status status;
  {
    MutexLock lock(mutex_);
    if (Full()) Purge(now, dropped);
    if (stopping_) {
      status = Unavailable("the server is shutting down");
    } else if (Full()) {
      status = ResourceExhausted("the queue is full: {} images wait", waiting_);
    } else {
      const int priority = request.priority;
      lines_[priority].push_back({std::move(request), now});
      ++waiting_;
      if (idle_workers_ > 0) {
        work_.NotifyOne();
      } else if (waiting_ >= options_.max_batch) {
        company_.NotifyOne();
      }
    }
  }
  for (auto& [dead, why] : dropped) std::move(dead.done)(why);
  return status;
}

void Batcher::Purge(TimePoint now, Dropped& dropped) {
  for (auto& [priority, line] : lines_) {
    const auto alive = std::stable_partition(
        line.begin(), line.end(),
        [&](const Waiting& waiting) { return CheckAlive(waiting.request, now).ok(); });
    waiting_ -= line.end() - alive;
    for (auto dead = alive; dead != line.end(); ++dead) {
      absl::Status why = CheckAlive(dead->request, now);
      dropped.emplace_back(std::move(dead->request), std::move(why));
    }
    line.erase(alive, line.end());
  }
  std::erase_if(lines_, [](const auto& line) { return line.second.empty(); });
}

TimePoint Batcher::OldestArrival() const {
  TimePoint oldest = TimePoint::max();
  for (const auto& [priority, line] : lines_) {
    oldest = std::min(oldest, line.front().arrived);
  }
  return oldest;
}

void Batcher::AskToStop(TimePoint deadline) {
  MutexLock lock(mutex_);
  stopping_ = true;
  stop_deadline_ = std::min(stop_deadline_, deadline);
  work_.NotifyAll();
  company_.NotifyAll();
}

void Batcher::Stop(TimePoint deadline) {
  AskToStop(deadline);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

size_t Batcher::queue_size() const {
  MutexLock lock(mutex_);
  return waiting_;
}

int Batcher::idle_workers() const {
  MutexLock lock(mutex_);
  return idle_workers_;
}

std::vector<Batcher::Waiting> Batcher::TakeBatch() {
  const size_t sharers = 1 + idle_workers_;
  const size_t share = (waiting_ + sharers - 1) / sharers;
  const size_t n = std::min<size_t>(share, options_.max_batch);
  std::vector<Waiting> batch;
  batch.reserve(n);
  while (batch.size() < n) {
    const auto first = lines_.begin();
    batch.push_back(std::move(first->second.front()));
    first->second.pop_front();
    if (first->second.empty()) lines_.erase(first);
  }
  waiting_ -= n;
  if (waiting_ > 0 && idle_workers_ > 0) work_.NotifyOne();
  return batch;
}

std::vector<Batcher::Waiting> Batcher::NextBatch(bool came_from_batch) {
  MutexLock lock(mutex_);
  while (came_from_batch && waiting_ > 0 && waiting_ < options_.max_batch &&
         idle_workers_ == 0 && !stopping_) {
    const TimePoint until = OldestArrival() + options_.max_delay;
    if (clock_.Now() >= until) break;
    clock_.WaitUntil(company_, mutex_, until);
  }
  while (waiting_ == 0 && !stopping_) {
    ++idle_workers_;
    company_.NotifyAll();  // who holds requests back can stop: a worker is free
    work_.Wait(mutex_);
    --idle_workers_;
  }
  return TakeBatch();
}

void Batcher::Work(model::Session::Runner& runner) {
  std::vector<float> images(options_.max_batch * image_elements_);
  std::vector<float> probabilities(options_.max_batch * num_classes_);
  bool came_from_batch = false;
  while (true) {
    std::vector<Waiting> batch = NextBatch(came_from_batch);
    if (batch.empty()) return;
    RunBatch(runner, std::move(batch), images, probabilities);
    came_from_batch = true;
  }
}

void Batcher::RunBatch(model::Session::Runner& runner, std::vector<Waiting> batch,
                       std::vector<float>& images, std::vector<float>& probabilities) {
  const TimePoint started = clock_.Now();
  bool too_late;
  {
    MutexLock lock(mutex_);
    too_late = stopping_ && started >= stop_deadline_;
  }
  std::vector<BatchRequest> alive;
  alive.reserve(batch.size());
  for (Waiting& waiting : batch) {
    const absl::Status status = too_late ? Unavailable("the server is shutting down")
                                         : CheckAlive(waiting.request, started);
    if (status.ok()) {
      alive.push_back(std::move(waiting.request));
    } else {
      std::move(waiting.request.done)(status);
    }
  }
  if (alive.empty()) return;

  const int n = static_cast<int>(alive.size());
  std::span<const float> input(alive[0].image.get(), image_elements_);
  if (n > 1) {
    for (int i = 0; i < n; ++i) {
      std::copy_n(alive[i].image.get(), image_elements_,
                  images.data() + i * image_elements_);
    }
    input = std::span<const float>(images).first(n * image_elements_);
  }
  const auto output = std::span(probabilities).first(n * num_classes_);
  const TimePoint gathered = clock_.Now();
  const absl::Status status = runner.Run(input, n, output);
  const TimePoint finished = clock_.Now();
  // Before anybody can know the answer.
  const bool counts = status.ok() && statistics_ != nullptr;
  if (counts) statistics_->RecordBatch(n, gathered - started, finished - gathered);
  for (int i = 0; i < n; ++i) {
    alive[i].image.reset();
    if (status.ok()) {
      std::move(alive[i].done)(BatchResult{output.subspan(i * num_classes_, num_classes_),
                                           started, finished, n});
    } else {
      std::move(alive[i].done)(status);
    }
  }
  if (counts) statistics_->RecordBatchFinished(n, clock_.Now() - finished);
}

}  // namespace oriel::serving
