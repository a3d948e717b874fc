#include "serving/model_metrics.h"

#include <array>
#include <string>
#include <utility>

#include "engine/plan.h"

namespace oriel::serving {
namespace {

constexpr std::array kBatchBounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

MetricLabels With(MetricLabels labels, const char* name, std::string_view value) {
  labels.push_back({name, std::string(value)});
  return labels;
}

// What Triton would call it (nv_inference_request_failure).
const char* TritonReason(FailureReason reason) {
  switch (reason) {
    case FailureReason::kRejected:
    case FailureReason::kDeadline:
      return "REJECTED";
    case FailureReason::kCancelled:
      return "CANCELED";
    case FailureReason::kBadImage:
      return "BACKEND";
    case FailureReason::kOther:
      break;
  }
  return "OTHER";
}

void CollectOutcomes(const StatisticsSnapshot& statistics, const MetricLabels& labels,
                     MetricFamilies& families) {
  constexpr char kRequests[] = "oriel_model_requests_total";
  constexpr char kRequestsHelp[] =
      "Requests for inference by result: ok, or why they failed";
  constexpr char kImages[] = "oriel_model_images_total";
  constexpr char kImagesHelp[] = "Images by result: ok, or why they failed";
  families.Counter(kRequests, kRequestsHelp, With(labels, "result", "ok"),
                   static_cast<double>(statistics.success.count));
  families.Counter(kImages, kImagesHelp, With(labels, "result", "ok"),
                   static_cast<double>(statistics.inferences));
  for (int i = 0; i < kFailureReasons; ++i) {
    const auto result =
        With(labels, "result", FailureReasonName(static_cast<FailureReason>(i)));
    families.Counter(kRequests, kRequestsHelp, result,
                     static_cast<double>(statistics.failures[i].count));
    families.Counter(kImages, kImagesHelp, result,
                     static_cast<double>(statistics.failed_images[i]));
  }
}

void CollectCache(const StatisticsSnapshot& statistics, const MetricLabels& labels,
                  MetricFamilies& families) {
  constexpr char kName[] = "oriel_model_cache_lookups_total";
  constexpr char kHelp[] = "Looks into the response cache, of images, by result";
  const auto hits = static_cast<double>(statistics.cache_hit.count);
  const auto misses = static_cast<double>(statistics.cache_miss.count);
  families.Counter(kName, kHelp, With(labels, "result", "hit"), hits);
  families.Counter(kName, kHelp, With(labels, "result", "miss"), misses);
  families.Counter("nv_cache_num_hits_per_model", "Answers from the response cache",
                   labels, hits);
  families.Counter("nv_cache_num_misses_per_model",
                   "Looks into the response cache without an answer", labels, misses);
}

void CollectTimes(const StatisticsSnapshot& statistics, const MetricLabels& labels,
                  MetricFamilies& families) {
  families.Seconds("oriel_model_queue_seconds",
                   "Waiting of an image, before decoding and before the network", labels,
                   statistics.image_queue);
  families.Seconds("oriel_model_preprocess_seconds",
                   "Decoding, resizing and normalizing of an image", labels,
                   statistics.image_preprocess);
  families.Seconds("oriel_model_compute_seconds", "Run of the batch that an image was in",
                   labels, statistics.image_compute);
  std::map<int, uint64_t> sizes;
  Tally compute;
  for (const auto& [size, batch] : statistics.batches) {
    sizes[size] = batch.compute.count;
    compute += batch.compute;
  }
  families.Sizes("oriel_model_batch_size", "Images of a batch that the network ran",
                 labels, kBatchBounds, sizes);
  families.Counter("oriel_model_batch_compute_seconds_total",
                   "Time in which batches were run, all workers together", labels,
                   static_cast<double>(compute.ns) / 1e9);
}

void CollectTritonNames(const StatisticsSnapshot& statistics, size_t pending,
                        const MetricLabels& labels, MetricFamilies& families) {
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    families.Counter(name, help, labels, static_cast<double>(value));
  };
  counter("nv_inference_request_success", "Requests that succeeded",
          statistics.success.count);
  std::map<std::string, uint64_t> failures;
  for (int i = 0; i < kFailureReasons; ++i) {
    failures[TritonReason(static_cast<FailureReason>(i))] += statistics.failures[i].count;
  }
  for (const auto& [reason, count] : failures) {
    families.Counter("nv_inference_request_failure", "Requests that failed, by reason",
                     With(labels, "reason", reason), static_cast<double>(count));
  }
  counter("nv_inference_count", "Images that were answered", statistics.inferences);
  counter("nv_inference_exec_count", "Batches that the network ran",
          statistics.Executions());
  families.Gauge("nv_inference_pending_request_count",
                 "Images accepted and not yet answered", labels,
                 static_cast<double>(pending));
  const auto microseconds = [&](const char* name, const char* help, const Tally& tally) {
    counter(name, help, tally.ns / 1000);
  };
  microseconds("nv_inference_request_duration_us", "Time of successful requests",
               statistics.success);
  microseconds("nv_inference_queue_duration_us", "Waiting of successful requests",
               statistics.queue);
  microseconds("nv_inference_compute_input_duration_us",
               "Decoding and preprocessing of successful requests",
               statistics.preprocess);
  microseconds("nv_inference_compute_infer_duration_us",
               "Runs of the network for successful requests", statistics.compute);
  microseconds("nv_inference_compute_output_duration_us",
               "Finding the labels for successful requests", statistics.finish);
}

}  // namespace

void CollectModelMetrics(const ModelRepository& models, MetricFamilies& families) {
  for (const ModelStatus& model : models.Index()) {
    for (const VersionStatus& version : model.versions) {
      for (const VersionState state :
           {VersionState::kStart, VersionState::kLoading, VersionState::kAvailable,
            VersionState::kUnloading, VersionState::kEnd}) {
        families.Gauge("oriel_model_state", "1 for the state that a version is in",
                       {{"model", model.name},
                        {"version", std::to_string(version.version)},
                        {"state", std::string(VersionStateName(state))}},
                       state == version.state ? 1 : 0);
      }
    }
  }
  const auto served = models.GetAll({});
  if (!served.ok()) return;
  for (const auto& model : *served) {
    const model::Session& session = model->session();
    const StatisticsSnapshot statistics = model->statistics();
    const size_t pending = model->pending();
    const MetricLabels labels = {{"model", session.name()},
                                 {"version", session.version()}};
    families.Gauge("oriel_model_info", "What a version that is served is; always 1",
                   With(With(labels, "title", session.config().title), "precision",
                        engine::PrecisionName(session.precision().precision)),
                   1);
    families.Gauge("oriel_model_pending_images", "Images accepted and not yet answered",
                   labels, static_cast<double>(pending));
    CollectOutcomes(statistics, labels, families);
    CollectCache(statistics, labels, families);
    CollectTimes(statistics, labels, families);
    CollectTritonNames(statistics, pending, labels, families);
  }
}

}  // namespace oriel::serving
