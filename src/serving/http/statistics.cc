#include "serving/http/statistics.h"

#include <utility>

#include "serving/http/app.h"
#include "serving/http/inference_call.h"
#include "serving/http/json.h"
#include "serving/model_repository.h"
#include "serving/statistics.h"

namespace oriel::serving::http {
namespace {

void WriteTally(JsonWriter& json, std::string_view key, const Tally& tally) {
  json.Key(key).BeginObject();
  json.Key("count").Integer(static_cast<int64_t>(tally.count));
  json.Key("ns").Integer(static_cast<int64_t>(tally.ns));
  json.EndObject();
}

// All that clients read, whether it can happen here or not: perf_analyzer looks at
// nothing before it takes a member.
void WriteModel(JsonWriter& json, const ServedModel& model) {
  const StatisticsSnapshot statistics = model.statistics();
  const auto last = std::chrono::duration_cast<std::chrono::milliseconds>(
      statistics.last_inference.time_since_epoch());
  json.BeginObject();
  json.Key("name").String(model.session().name());
  json.Key("version").String(model.session().version());
  json.Key("last_inference").Integer(last.count());
  json.Key("inference_count").Integer(static_cast<int64_t>(statistics.inferences));
  json.Key("execution_count").Integer(static_cast<int64_t>(statistics.Executions()));
  json.Key("inference_stats").BeginObject();
  WriteTally(json, "success", statistics.success);
  WriteTally(json, "fail", statistics.AllFailures());
  WriteTally(json, "queue", statistics.queue);
  WriteTally(json, "compute_input", statistics.preprocess);
  WriteTally(json, "compute_infer", statistics.compute);
  WriteTally(json, "compute_output", statistics.finish);
  WriteTally(json, "cache_hit", statistics.cache_hit);
  WriteTally(json, "cache_miss", statistics.cache_miss);
  json.EndObject();
  json.Key("response_stats").BeginObject().EndObject();
  json.Key("batch_stats").BeginArray();
  for (const auto& [size, batch] : statistics.batches) {
    json.BeginObject();
    json.Key("batch_size").Integer(size);
    WriteTally(json, "compute_input", batch.gather);
    WriteTally(json, "compute_infer", batch.compute);
    WriteTally(json, "compute_output", batch.finish);
    json.EndObject();
  }
  json.EndArray();
  json.Key("memory_usage").BeginArray().EndArray();
  json.EndObject();
}

absl::StatusOr<std::vector<std::shared_ptr<ServedModel>>> WantedModels(
    const App& app, const RequestHead& head) {
  if (head.path_parameters.empty()) return app.models.GetAll({});
  ASSIGN_OR_RETURN(const ModelSpec spec, SpecFromPath(head));
  return app.models.GetAll(spec);
}

}  // namespace

void GetStatistics(App& app, Request request, Responder responder) {
  const auto models = WantedModels(app, request.head);
  if (!models.ok()) {
    return std::move(responder).Send(Failure(models.status(), request.head, app));
  }
  JsonWriter json;
  json.BeginObject().Key("model_stats").BeginArray();
  for (const auto& model : *models) WriteModel(json, *model);
  json.EndArray().EndObject();
  std::move(responder).Send(
      {.content_type = "application/json", .body = std::move(json).Take()});
}

}  // namespace oriel::serving::http
