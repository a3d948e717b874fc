#include "serving/http/inference_call.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "serving/access_log.h"
#include "serving/http/app.h"
#include "serving/http/problem.h"

namespace oriel::serving::http {

absl::StatusOr<ModelSpec> SpecFromPath(const RequestHead& head) {
  ModelSpec spec{.name = head.path_parameters[0]};
  if (head.path_parameters.size() < 2) return spec;
  const std::string& second = head.path_parameters[1];
  if (head.path.find("/labels/") != std::string::npos) {
    spec.label = second;
    return spec;
  }
  spec.version = model::ParseVersion(second);
  if (!spec.version.has_value()) {
    return InvalidArgument("version '{}' is no number", second);
  }
  return spec;
}

absl::StatusOr<std::shared_ptr<ServedModel>> ModelFromPath(const App& app,
                                                           const RequestHead& head) {
  if (app.draining) return Unavailable("the server is shutting down");
  ASSIGN_OR_RETURN(const ModelSpec spec, SpecFromPath(head));
  return app.models.Get(spec);
}

absl::Status AdmitInference(App& app, const RequestHead& head) {
  ASSIGN_OR_RETURN(const auto model, ModelFromPath(app, head));
  return model->CheckCapacity(1);
}

Response Failure(const absl::Status& status, const RequestHead& head, const App& app) {
  return ErrorResponse(ProblemFrom(status), head, Audience::kProgram, app.web);
}

void InferenceCall::Start(std::shared_ptr<InferenceCall> call) {
  App& app = call->app_;
  if (app.pool.TrySubmit([call] {
        try {
          const absl::Status status = call->Begin(call);
          if (!status.ok()) call->Fail(status);
        } catch (const std::exception& error) {  // the responder says 500 when it goes
          spdlog::error("a request could not be read: {}", error.what());
        }
      })) {
    return;
  }
  call->Fail(ResourceExhausted("the server is busy: too many requests wait"));
}

absl::Status InferenceCall::Begin(std::shared_ptr<InferenceCall> self) {
  ASSIGN_OR_RETURN(const auto model, ModelFromPath(app_, request_.head));
  session_ = model->session().shared_from_this();
  ASSIGN_OR_RETURN(ClassifyRequest classify,
                   Read(model->session(), std::move(request_.body)));
  classify.deadline = std::min(classify.deadline, request_.deadline);
  if (classify.priority == kDefaultPriority) classify.priority = request_.head.priority;
  classify.cancellation = request_.cancellation;
  return model->Classify(std::move(classify), [self](std::vector<ImageAnswer> answers) {
    // A thousand numbers for each image: too much work for a plan worker.
    self->app_.pool.SubmitUrgent([self, answers = std::move(answers)] {
      try {
        self->Answer(answers);
      } catch (const std::exception& error) {
        spdlog::error("an answer could not be written: {}", error.what());
      }
    });
  });
}

void InferenceCall::Answer(const std::vector<ImageAnswer>& answers) {
  const auto failed =
      std::find_if(answers.begin(), answers.end(),
                   [](const auto& answer) { return !answer.status.ok(); });
  Response response =
      failed == answers.end()
          ? Write(answers)
          : Failure(Annotate(failed->status,
                             fmt::format("image {}", failed - answers.begin())),
                    request_.head, app_);
  response.inference = ReportOf(*session_, answers);
  std::move(responder_).Send(std::move(response));
}

void InferenceCall::Fail(const absl::Status& status) {
  std::move(responder_).Send(Failure(status, request_.head, app_));
}

}  // namespace oriel::serving::http
