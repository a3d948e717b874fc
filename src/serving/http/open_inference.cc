#include "serving/http/open_inference.h"

#include <algorithm>
#include <utility>

#include "serving/http/app.h"
#include "serving/http/inference_call.h"
#include "serving/http/json.h"
#include "serving/http/json_document.h"
#include "serving/http/open_inference_infer.h"
#include "serving/model_repository.h"
#include "serving/open_inference.h"

namespace oriel::serving::http {
namespace {

using open_inference::kPlatform;
using open_inference::kProbabilities;

Response Json(JsonWriter json) {
  return {.content_type = "application/json", .body = std::move(json).Take()};
}

void WriteTensor(JsonWriter& json, std::string_view name, std::string_view datatype,
                 std::initializer_list<int64_t> shape) {
  json.BeginObject();
  json.Key("name").String(name);
  json.Key("datatype").String(datatype);
  json.Key("shape").BeginArray();
  for (const int64_t size : shape) json.Integer(size);
  json.EndArray().EndObject();
}

void WriteConfigTensor(JsonWriter& json, std::string_view name,
                       std::initializer_list<int64_t> dims) {
  json.Key("name").String(name);
  json.Key("data_type").String("TYPE_FP32");
  json.Key("dims").BeginArray();
  for (const int64_t size : dims) json.Integer(size);
  json.EndArray();
}

void ControlModel(App& app, Request request, Responder responder,
                  void (ModelRepository::*control)(std::string, ModelRepository::Done)) {
  const std::string name = request.head.path_parameters[0];
  auto shared = std::make_shared<Responder>(std::move(responder));
  const auto answer = [&app, head = request.head, shared](const absl::Status& status) {
    if (!status.ok()) return std::move(*shared).Send(Failure(status, head, app));
    std::move(*shared).Send({.content_type = "application/json", .body = "{}"});
  };
  const absl::Status allowed =
      open_inference::CheckControl(app.models, request.head.is_admin);
  if (!allowed.ok()) return answer(allowed);
  (app.models.*control)(name, answer);
}

}  // namespace

void GetServerMetadata(App&, Request, Responder responder) {
  JsonWriter json;
  json.BeginObject();
  json.Key("name").String(open_inference::kServerName);
  json.Key("version").String(ORIEL_VERSION);
  json.Key("extensions").BeginArray();
  for (const std::string_view name : open_inference::kExtensions) json.String(name);
  json.EndArray().EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void GetServerLive(App&, Request, Responder responder) {
  JsonWriter json;
  json.BeginObject().Key("live").Boolean(true).EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void GetServerReady(App& app, Request request, Responder responder) {
  const absl::Status status = open_inference::ServerReadiness(app.models, app.draining);
  if (!status.ok()) {
    return std::move(responder).Send(Failure(status, request.head, app));
  }
  JsonWriter json;
  json.BeginObject().Key("live").Boolean(true).Key("ready").Boolean(true).EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void GetModelReady(App& app, Request request, Responder responder) {
  const auto model = ModelFromPath(app, request.head);
  if (!model.ok()) {
    return std::move(responder).Send(Failure(model.status(), request.head, app));
  }
  JsonWriter json;
  json.BeginObject();
  json.Key("name").String((*model)->session().name());
  json.Key("ready").Boolean(true);
  json.EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void GetInferenceMetadata(App& app, Request request, Responder responder) {
  const auto model = ModelFromPath(app, request.head);
  if (!model.ok()) {
    return std::move(responder).Send(Failure(model.status(), request.head, app));
  }
  const model::Session& session = (*model)->session();
  JsonWriter json;
  json.BeginObject();
  json.Key("name").String(session.name());
  json.Key("versions").BeginArray();
  for (const auto& version :
       open_inference::AvailableVersions(app.models, session.name())) {
    json.String(version);
  }
  json.EndArray();
  json.Key("platform").String(kPlatform);
  json.Key("inputs").BeginArray();
  WriteTensor(json, session.config().input, "FP32",
              {-1, session.config().height, session.config().width, 3});
  json.EndArray();
  json.Key("outputs").BeginArray();
  WriteTensor(json, kProbabilities, "FP32", {-1, session.num_classes()});
  json.EndArray().EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void GetModelConfig(App& app, Request request, Responder responder) {
  const auto model = ModelFromPath(app, request.head);
  if (!model.ok()) {
    return std::move(responder).Send(Failure(model.status(), request.head, app));
  }
  const model::Session& session = (*model)->session();
  JsonWriter json;
  json.BeginObject();
  json.Key("name").String(session.name());
  json.Key("platform").String(kPlatform);
  json.Key("backend").String(open_inference::kBackend);
  json.Key("max_batch_size").Integer(session.options().max_batch);
  json.Key("input").BeginArray().BeginObject();
  WriteConfigTensor(json, session.config().input,
                    {session.config().height, session.config().width, 3});
  json.Key("format").String("FORMAT_NHWC");
  json.EndObject().EndArray();
  json.Key("output").BeginArray().BeginObject();
  WriteConfigTensor(json, kProbabilities, {session.num_classes()});
  json.Key("label_filename").String(model::kDescriptionsFile);
  json.EndObject().EndArray();
  json.Key("dynamic_batching").BeginObject();
  json.Key("preferred_batch_size").BeginArray();
  json.Integer(session.options().max_batch).EndArray();
  json.EndObject();
  json.Key("model_transaction_policy").BeginObject();
  json.Key("decoupled").Boolean(false).EndObject();
  json.Key("response_cache")
      .BeginObject()
      .Key("enable")
      .Boolean((*model)->caches_answers())
      .EndObject();
  json.EndObject();
  std::move(responder).Send(Json(std::move(json)));
}

void PostInfer(App& app, Request request, Responder responder) {
  InferenceCall::Start(
      std::make_shared<InferCall>(app, std::move(request), std::move(responder)));
}

void PostRepositoryIndex(App& app, Request request, Responder responder) {
  bool ready_only = false;
  if (!request.body.empty()) {
    const auto body = ParseJson(request.body, {.max_numbers = 100, .max_values = 100});
    const JsonValue* ready = body.ok() ? body->Find("ready") : nullptr;
    if (!body.ok() || !body->is(JsonValue::Kind::kObject) ||
        (ready != nullptr && !ready->is(JsonValue::Kind::kBool))) {
      return std::move(responder).Send(
          Failure(InvalidArgument("want {{\"ready\": true or false}}, or no body"),
                  request.head, app));
    }
    ready_only = ready != nullptr && ready->boolean;
  }
  JsonWriter json;
  json.BeginArray();
  for (const auto& entry : open_inference::RepositoryIndex(app.models, ready_only)) {
    json.BeginObject();
    json.Key("name").String(entry.name);
    if (!entry.version.empty()) json.Key("version").String(entry.version);
    json.Key("state").String(entry.state);
    json.Key("reason").String(entry.reason);
    json.EndObject();
  }
  json.EndArray();
  std::move(responder).Send(Json(std::move(json)));
}

void PostLoadModel(App& app, Request request, Responder responder) {
  ControlModel(app, std::move(request), std::move(responder), &ModelRepository::Load);
}

void PostUnloadModel(App& app, Request request, Responder responder) {
  ControlModel(app, std::move(request), std::move(responder), &ModelRepository::Unload);
}

}  // namespace oriel::serving::http
