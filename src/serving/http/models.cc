#include "serving/http/models.h"

#include "engine/plan.h"
#include "serving/http/app.h"
#include "serving/http/json.h"
#include "serving/model_repository.h"

namespace oriel::serving::http {
namespace {

void WriteVersion(const ModelRepository& models, const std::string& name,
                  const VersionStatus& version, JsonWriter& json) {
  json.BeginObject();
  json.Key("version").String(std::to_string(version.version));
  json.Key("state").String(VersionStateName(version.state));
  if (!version.error.ok()) json.Key("error").String(Message(version.error));
  const auto served = models.Get({.name = name, .version = version.version});
  if (served.ok()) {
    const model::Session& session = (*served)->session();
    const model::ModelConfig& config = session.config();
    json.Key("title").String(config.title);
    json.Key("image").BeginObject();
    json.Key("height").Integer(config.height);
    json.Key("width").Integer(config.width);
    json.Key("preprocessing").String(config.preprocessing.preset);
    json.EndObject();
    json.Key("classes").Integer(session.num_classes());
    json.Key("precision").String(engine::PrecisionName(session.precision().precision));
    json.Key("max_batch").Integer(session.options().max_batch);
    json.Key("pending").Integer(static_cast<int64_t>((*served)->pending()));
  }
  json.EndObject();
}

}  // namespace

void GetModels(App& app, Request, Responder responder) {
  JsonWriter json;
  json.BeginObject();
  json.Key("default").String(app.models.DefaultModel());
  json.Key("models").BeginArray();
  for (const ModelStatus& model : app.models.Index()) {
    json.BeginObject();
    json.Key("name").String(model.name);
    json.Key("labels").BeginObject();
    for (const auto& [label, version] : app.models.Labels(model.name)) {
      json.Key(label).String(std::to_string(version));
    }
    json.EndObject();
    json.Key("versions").BeginArray();
    for (const VersionStatus& version : model.versions) {
      WriteVersion(app.models, model.name, version, json);
    }
    json.EndArray();
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  std::move(responder).Send(
      {.content_type = "application/json", .body = std::move(json).Take()});
}

}  // namespace oriel::serving::http
