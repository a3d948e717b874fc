#include "serving/statistics.h"

#include <algorithm>

namespace oriel::serving {
namespace {

Tally& FailureOf(StatisticsSnapshot& statistics, const absl::Status& error) {
  return statistics.failures[static_cast<int>(FailureReasonOf(error))];
}

}  // namespace

FailureReason FailureReasonOf(const absl::Status& error) {
  switch (error.code()) {
    case absl::StatusCode::kResourceExhausted:
      return FailureReason::kRejected;
    case absl::StatusCode::kCancelled:
      return FailureReason::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return FailureReason::kDeadline;
    // What decoders say of bytes, and of pictures that are too large.
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange:
      return FailureReason::kBadImage;
    default:
      return FailureReason::kOther;
  }
}

std::string_view FailureReasonName(FailureReason reason) {
  static constexpr std::array<std::string_view, kFailureReasons> kNames = {
      "rejected", "cancelled", "deadline", "bad_image", "other"};
  return kNames[static_cast<int>(reason)];
}

void SecondsHistogram::Observe(Duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto bucket =
      std::lower_bound(kSecondsBounds.begin(), kSecondsBounds.end(), seconds);
  ++counts[bucket - kSecondsBounds.begin()];
  total.Add(duration);
}

Tally StatisticsSnapshot::AllFailures() const {
  Tally all;
  for (const Tally& failure : failures) all += failure;
  return all;
}

uint64_t StatisticsSnapshot::Executions() const {
  uint64_t all = 0;
  for (const auto& [size, batch] : batches) all += batch.compute.count;
  return all;
}

void ModelStatistics::RecordRefusal(const absl::Status& why) {
  MutexLock lock(mutex_);
  FailureOf(now_, why).Add(Duration::zero());
}

void ModelStatistics::RecordImage(const absl::Status& status, const Stages& stages) {
  MutexLock lock(mutex_);
  if (!status.ok()) {
    ++now_.failed_images[static_cast<int>(FailureReasonOf(status))];
    return;
  }
  ++now_.inferences;
  now_.image_queue.Observe(stages.queue);
  now_.image_preprocess.Observe(stages.preprocess);
  now_.image_compute.Observe(stages.compute);
}

void ModelStatistics::RecordCacheLookup(bool hit, Duration duration) {
  MutexLock lock(mutex_);
  (hit ? now_.cache_hit : now_.cache_miss).Add(duration);
}

void ModelStatistics::RecordRequest(const absl::Status& status, Duration total,
                                    const Stages& stages) {
  const auto wall = std::chrono::system_clock::now();
  MutexLock lock(mutex_);
  if (!status.ok()) return FailureOf(now_, status).Add(total);
  now_.success.Add(total);
  now_.queue.Add(stages.queue);
  now_.preprocess.Add(stages.preprocess);
  now_.compute.Add(stages.compute);
  now_.finish.Add(stages.finish);
  now_.last_inference = wall;
}

void ModelStatistics::RecordBatch(int size, Duration gather, Duration compute) {
  MutexLock lock(mutex_);
  BatchTally& batch = now_.batches[size];
  batch.gather.Add(gather);
  batch.compute.Add(compute);
}

void ModelStatistics::RecordBatchFinished(int size, Duration finish) {
  MutexLock lock(mutex_);
  now_.batches[size].finish.Add(finish);
}

StatisticsSnapshot ModelStatistics::Snapshot() const {
  MutexLock lock(mutex_);
  return now_;
}

}  // namespace oriel::serving
