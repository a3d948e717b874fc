#include "serving/http/health.h"

#include "serving/http/app.h"
#include "serving/http/classify.h"
#include "serving/http/json.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {

void GetHealthz(App&, Request, Responder responder) {
  JsonWriter json;
  json.BeginObject().Key("status").String("alive").EndObject();
  std::move(responder).Send(
      {.content_type = "application/json", .body = std::move(json).Take()});
}

void GetReadyz(App& app, Request request, Responder responder) {
  auto model = ReadyModel(app, request.head);
  if (model.ok() && !app.models.started()) {
    model = Unavailable("models are still loading");
  }
  if (!model.ok()) {
    return std::move(responder).Send(ErrorResponse(
        ProblemFrom(model.status()), request.head, Audience::kProgram, app.web));
  }
  JsonWriter json;
  json.BeginObject().Key("status").String("ready");
  WriteModel((*model)->session(), json);
  json.EndObject();
  std::move(responder).Send(
      {.content_type = "application/json", .body = std::move(json).Take()});
}

}  // namespace oriel::serving::http
