// What a model has done since it was loaded: how many requests, images and batches, with
// what outcome, and where their time went. ServedModel and Batcher write it; the
// statistics extension of Open Inference (REST and gRPC) and the metrics read it.
//
// Requests are counted as Triton counts them (docs/protocol/extension_statistics.md in
// triton-inference-server/server): one request of four images is one success, four
// inferences, and one to four executions.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "serving/clock.h"

namespace oriel::serving {

enum class FailureReason {
  kRejected,   // no room for it
  kCancelled,  // nobody waited for it any more
  kDeadline,   // its deadline passed while it waited
  kBadImage,   // no image, or a broken one
  kOther,      // the server stops, or a fault of it
};
inline constexpr int kFailureReasons = 5;

FailureReason FailureReasonOf(const absl::Status& error);
std::string_view FailureReasonName(FailureReason reason);  // "bad_image"

// So many, which took so long together: Triton's StatisticDuration.
struct Tally {
  uint64_t count = 0;
  uint64_t ns = 0;

  void Add(Duration duration) {
    ++count;
    ns += std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  }
  Tally& operator+=(const Tally& other) {
    count += other.count;
    ns += other.ns;
    return *this;
  }
};

// Upper bounds of the buckets of every histogram of seconds here, ascending.
inline constexpr std::array kSecondsBounds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0};

struct SecondsHistogram {
  // Of each bucket alone, not cumulative; the last: above all bounds.
  std::array<uint64_t, kSecondsBounds.size() + 1> counts = {};
  Tally total;

  void Observe(Duration duration);
};

// How the work on one image, or on one request, divides.
struct Stages {
  Duration queue{};       // waiting, before decoding and before the network
  Duration preprocess{};  // decode, resize, normalize
  Duration compute{};     // the run of the batch that the image was in
  Duration finish{};      // probabilities to labels
};

struct BatchTally {
  // Putting images side by side; running the network; giving out the answers.
  Tally gather, compute, finish;
};

struct StatisticsSnapshot {
  // Requests, all of whose images were answered, with the time from acceptance to the
  // last of these answers.
  Tally success;
  // The others, by FailureReason of the first image that failed.
  std::array<Tally, kFailureReasons> failures = {};
  // Of the requests in `success`: the stages of the image that was answered last, so
  // that the stages of a request fit into its time.
  Tally queue, preprocess, compute, finish;

  // Looks into the response cache, of images.
  Tally cache_hit, cache_miss;

  // Images that the network answered, and those without an answer, by FailureReason.
  uint64_t inferences = 0;
  std::array<uint64_t, kFailureReasons> failed_images = {};
  // Of the images that were answered.
  SecondsHistogram image_queue, image_preprocess, image_compute;

  // Batches that the network ran, by their size.
  std::map<int, BatchTally> batches;

  // Of the last success; the epoch: never.
  std::chrono::system_clock::time_point last_inference{};

  Tally AllFailures() const;
  uint64_t Executions() const;
};

// Thread-safe; each call is a short lock. Warm-up runs are no part of it.
class ModelStatistics {
 public:
  // A request that was refused before anything was spent on it.
  void RecordRefusal(const absl::Status& why);
  void RecordImage(const absl::Status& status, const Stages& stages);
  // `stages` of the image that was answered last; `status` of the first that failed.
  void RecordRequest(const absl::Status& status, Duration total, const Stages& stages);
  void RecordCacheLookup(bool hit, Duration duration);
  // When a batch of `size` has run, and when its answers are given out.
  void RecordBatch(int size, Duration gather, Duration compute);
  void RecordBatchFinished(int size, Duration finish);

  StatisticsSnapshot Snapshot() const;

 private:
  mutable Mutex mutex_;
  StatisticsSnapshot now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving
