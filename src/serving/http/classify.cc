#include "serving/http/classify.h"

#include <utility>

#include "serving/access_log.h"
#include "serving/http/app.h"
#include "serving/http/inputs.h"
#include "serving/http/json.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {
namespace {

absl::StatusOr<bool> ParseBool(std::string_view name, std::string_view text) {
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return InvalidArgument("{} must be true or false", name);
}

void WriteImage(const Upload& upload, const ImageAnswer& answer, JsonWriter& json) {
  json.BeginObject();
  json.Key("filename").String(upload.filename);
  json.Key("bytes").Integer(static_cast<int64_t>(upload.bytes->size()));
  if (answer.status.ok()) {
    json.Key("predictions").BeginArray();
    for (const model::ScoredLabel& label : answer.labels) {
      json.BeginObject();
      json.Key("index").Integer(label.index);
      if (!label.wnid.empty()) json.Key("wnid").String(label.wnid);
      json.Key("label").String(label.label);
      json.Key("probability").Float(label.probability);
      json.EndObject();
    }
    json.EndArray();
    const ImageTimings& timings = answer.timings;
    json.Key("timings_ms").BeginObject();
    json.Key("queue").Milliseconds(Milliseconds(timings.queue));
    json.Key("preprocess").Milliseconds(Milliseconds(timings.preprocess));
    json.Key("compute").Milliseconds(Milliseconds(timings.compute));
    json.EndObject();
    json.Key("batch_size").Integer(timings.batch_size);
    if (timings.batch_size == 0) json.Key("cached").Boolean(true);
  } else {
    const Problem problem = ImageProblem(answer.status, AsBytes(*upload.bytes));
    json.Key("error").String(problem.reason);
    json.Key("status").Integer(problem.status);
  }
  json.EndObject();
}

// The whole request's status: an image that failed makes it fail only when none
// succeeded.
int OverallStatus(const std::vector<Upload>& uploads,
                  const std::vector<ImageAnswer>& answers) {
  for (const ImageAnswer& answer : answers) {
    if (answer.status.ok()) return 200;
  }
  return ImageProblem(answers[0].status, AsBytes(*uploads[0].bytes)).status;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ServedModel>> ReadyModel(App& app,
                                                        const RequestHead& head) {
  if (app.draining) return Unavailable("the server is shutting down");
  ModelSpec spec;
  if (const std::string* name = head.Query("model")) spec.name = *name;
  if (const std::string* label = head.Query("label")) spec.label = *label;
  if (const std::string* version = head.Query("version")) {
    spec.version = model::ParseVersion(*version);
    if (!spec.version.has_value()) {
      return InvalidArgument("version must be a number without leading zeros");
    }
  }
  return app.models.Get(spec);
}

absl::Status AdmitImages(App& app, const RequestHead& head) {
  ASSIGN_OR_RETURN(const auto model, ReadyModel(app, head));
  return model->CheckCapacity(1);
}

absl::StatusOr<std::vector<Upload>> TakeUploads(const App& app, Request& request,
                                                std::string_view field) {
  std::vector<Upload> uploads;
  if (!request.form.has_value()) {
    uploads.push_back({"", std::make_shared<const std::string>(std::move(request.body))});
    return uploads;
  }
  for (FormPart& part : *request.form) {
    if (!part.is_file || (!field.empty() && part.name != field)) continue;
    // What a browser sends when no file was chosen.
    if (part.filename.empty() && part.body.empty()) continue;
    if (uploads.size() == app.options.max_images) {
      return InvalidArgument("more than {} images in one request",
                             app.options.max_images);
    }
    uploads.push_back({std::move(part.filename),
                       std::make_shared<const std::string>(std::move(part.body))});
  }
  if (uploads.empty()) {
    return InvalidArgument("no image in the form: choose a photo for the field '{}'",
                           field.empty() ? "file" : field);
  }
  return uploads;
}

absl::StatusOr<ClassifyRequest> MakeClassifyRequest(const App& app,
                                                    const Request& request,
                                                    const std::vector<Upload>& uploads) {
  ClassifyRequest classify;
  ASSIGN_OR_RETURN(classify.top_k, TopKOf(app, request.head));
  if (const std::string* text = request.head.Query("honor_exif")) {
    ASSIGN_OR_RETURN(classify.honor_exif, ParseBool("honor_exif", *text));
  }
  for (const Upload& upload : uploads) classify.images.push_back(upload.bytes);
  classify.priority = request.head.priority;
  classify.deadline = request.deadline;
  classify.cancellation = request.cancellation;
  return classify;
}

void WriteModel(const model::Session& session, JsonWriter& json) {
  json.Key("model").BeginObject();
  json.Key("name").String(session.name());
  json.Key("version").String(session.version());
  json.Key("title").String(session.config().title);
  json.EndObject();
}

void PostClassify(App& app, Request request, Responder responder) {
  // Kept by the callback, for as long as the bytes live.
  struct Context {
    App& app;
    Request request;
    Responder responder;
    std::vector<Upload> uploads;
    std::shared_ptr<const model::Session> session;
  };
  auto context = std::make_shared<Context>(
      Context{app, std::move(request), std::move(responder), {}, nullptr});
  const auto fail = [&](const absl::Status& status) {
    std::move(context->responder)
        .Send(ErrorResponse(ProblemFrom(status), context->request.head,
                            Audience::kProgram, app.web));
  };
  const auto model = ReadyModel(app, context->request.head);
  if (!model.ok()) return fail(model.status());
  context->session = (*model)->session().shared_from_this();
  auto uploads = TakeUploads(app, context->request, "");
  if (!uploads.ok()) return fail(uploads.status());
  context->uploads = *std::move(uploads);
  auto classify = MakeClassifyRequest(app, context->request, context->uploads);
  if (!classify.ok()) return fail(classify.status());

  const absl::Status accepted = (*model)->Classify(
      *std::move(classify), [context](std::vector<ImageAnswer> answers) {
        Request& request = context->request;
        JsonWriter json;
        json.BeginObject();
        WriteModel(*context->session, json);
        json.Key("request_id").String(request.head.id);
        Response response;
        response.status = OverallStatus(context->uploads, answers);
        if (response.status != 200) {
          if (answers.size() == 1) {
            return std::move(context->responder)
                .Send(ErrorResponse(
                    ImageProblem(answers[0].status, AsBytes(*context->uploads[0].bytes)),
                    request.head, Audience::kProgram, context->app.web));
          }
          json.Key("error").String("none of the images could be classified");
          json.Key("status").Integer(response.status);
        }
        json.Key("images").BeginArray();
        for (size_t i = 0; i < answers.size(); ++i) {
          WriteImage(context->uploads[i], answers[i], json);
        }
        json.EndArray();
        json.Key("timings_ms").BeginObject();
        json.Key("upload").Milliseconds(Milliseconds(request.upload));
        json.Key("total").Milliseconds(
            Milliseconds(context->app.clock.Now() - request.received));
        json.EndObject();
        json.EndObject();
        response.content_type = "application/json";
        response.inference = ReportOf(*context->session, answers);
        response.body = std::move(json).Take();
        std::move(context->responder).Send(std::move(response));
      });
  if (!accepted.ok()) fail(accepted);
}

}  // namespace oriel::serving::http
