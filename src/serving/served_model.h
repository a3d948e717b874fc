// A model that answers: a Session, the workers that run it, and the batcher in
// front of them. What every front end (HTTP, later gRPC) calls.
#pragma once

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "model/session.h"
#include "serving/batcher.h"
#include "serving/cancellation.h"
#include "serving/clock.h"
#include "serving/response_cache.h"
#include "serving/statistics.h"
#include "serving/worker_pool.h"

namespace oriel::serving {

struct ServedModelOptions {
  int workers = 1;  // plan workers: each runs one batch at a time
  bool pin = true;  // each worker to CPUs of its own (ScopedCpuShare)
  std::chrono::microseconds max_delay{2000};
  // Images accepted and not yet answered, whether they wait for decoding, for
  // the network, or are in work.
  size_t max_pending = 256;
  uint64_t max_queue_bytes = uint64_t{512} << 20;  // of preprocessed images
  // Of answers to images that came before; null: none. Outlives the model.
  std::shared_ptr<ResponseCache> cache;
};

struct ImageTimings : Stages {
  int batch_size = 0;  // 0: the answer was kept from before
};

struct ImageAnswer {
  absl::Status status;  // the rest is set when OK
  std::vector<model::ScoredLabel> labels;
  std::vector<float> probabilities;  // of all classes; empty unless asked for
  ImageTimings timings;
};

// A model has two faces: it takes encoded images, which it decodes and preprocesses, or
// what its network takes.
struct ClassifyRequest {
  std::vector<std::shared_ptr<const std::string>> images;  // encoded files
  // Instead of images: of each image session().image_elements() floats, [height, width,
  // 3], preprocessed already.
  std::vector<float> pixels;
  int top_k = 5;  // labels of an answer; 0: none
  bool probabilities = false;
  bool honor_exif = true;
  int priority = kDefaultPriority;  // kFirstPriority to kLastPriority
  TimePoint deadline = kNever;
  CancellationPtr cancellation;  // may be null
};

// Thread-safe.
class ServedModel {
 public:
  // In the order of request.images. Called once, from a thread of the pool or of
  // the batcher; must be quick (the pool's SubmitUrgent is there for more) and must
  // not throw.
  using Done = absl::AnyInvocable<void(std::vector<ImageAnswer>) &&>;

  // Makes the runners and warms each with a batch of one and a full one, so that the
  // first request finds nothing left to do. `pool` and `clock` outlive the model.
  static absl::StatusOr<std::shared_ptr<ServedModel>> Create(
      std::shared_ptr<const model::Session> session, const ServedModelOptions& options,
      WorkerPool& pool, Clock& clock);
  // Stop() without grace. The owner calls Stop itself before it lets go, so that
  // whoever happens to hold the last reference never waits here; a `done` must not
  // hold one (it may keep the session).
  ~ServedModel();

  const model::Session& session() const { return *session_; }
  bool caches_answers() const { return options_.cache != nullptr; }

  // Decodes, preprocesses, batches and runs. kResourceExhausted when fewer places are
  // free than there are images (all or nothing), kUnavailable after Stop,
  // kInvalidArgument for no image, or floats that are no whole images; then `done` is
  // not called. Everything later is told image by image.
  absl::Status Classify(ClassifyRequest request, Done done);

  // OK while a request of `images` images would be accepted now: lets a front end
  // refuse before it reads the body.
  absl::Status CheckCapacity(size_t images) const;

  // Takes no more and finishes what was accepted, up to `deadline`. The pool must
  // still run. May be called twice.
  void Stop(TimePoint deadline);

  // Images accepted and not yet answered.
  size_t pending() const { return pending_.load(std::memory_order_relaxed); }

  // Since Create. A request that CheckCapacity or Classify refuses is a failure of it.
  StatisticsSnapshot statistics() const { return statistics_.Snapshot(); }

 private:
  struct Job;
  ServedModel(std::shared_ptr<const model::Session> session,
              const ServedModelOptions& options, WorkerPool& pool, Clock& clock);

  absl::Status TryAccept(const std::shared_ptr<Job>& job);
  absl::Status RoomFor(size_t pending, size_t images) const;
  absl::Status Reserve(size_t images);
  void Prepare(std::shared_ptr<Job> job, size_t index);
  absl::Status FillPixels(const Job& job, size_t index, std::span<float> dst) const;
  // From the cache, where it is there; else `key` is what to keep it under.
  bool AnswerFromCache(Job& job, size_t index, ResponseCache::Key& key);
  void FillAnswer(const ClassifyRequest& request, std::span<const float> probabilities,
                  ImageAnswer& answer) const;
  void Finish(Job& job, size_t index, absl::Status status);

  const std::shared_ptr<const model::Session> session_;
  const ServedModelOptions options_;
  WorkerPool& pool_;
  const std::string cache_scope_;  // of no other loaded version, before or after
  Clock& clock_;
  mutable ModelStatistics statistics_;
  std::unique_ptr<Batcher> batcher_;
  std::atomic<size_t> pending_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> abandoning_{false};  // the grace of Stop is over
  Mutex mutex_;
  CondVar answered_;
};

}  // namespace oriel::serving
