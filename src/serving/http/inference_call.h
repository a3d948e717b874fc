// One request for inference of any REST protocol, from its body to its answer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serving/http/message.h"
#include "serving/model_repository.h"
#include "serving/served_model.h"

namespace oriel::serving::http {

class App;

// The model, version or label that a path names: /{prefix}/models/{model}, then
// /versions/{version} or /labels/{label} or neither. kInvalidArgument for a version
// that is no number.
absl::StatusOr<ModelSpec> SpecFromPath(const RequestHead& head);

// The model that answers. kUnavailable, kNotFound, kInvalidArgument.
absl::StatusOr<std::shared_ptr<ServedModel>> ModelFromPath(const App& app,
                                                           const RequestHead& head);

// A Route::admit: the model of the path is ready and has room for an image.
absl::Status AdmitInference(App& app, const RequestHead& head);

// JSON that tells an error to a program.
Response Failure(const absl::Status& status, const RequestHead& head, const App& app);

// Subclasses read and write the protocol; both may be called on any thread of the pool,
// one after the other.
class InferenceCall {
 public:
  InferenceCall(App& app, Request request, Responder responder)
      : app_(app), request_(std::move(request)), responder_(std::move(responder)) {}
  virtual ~InferenceCall() = default;

  // Reads the request on the pool (a body may be large), asks the model, and answers.
  static void Start(std::shared_ptr<InferenceCall> call);

 protected:
  // What to ask the model. `body` is given up: it may be taken.
  virtual absl::StatusOr<ClassifyRequest> Read(const model::Session& session,
                                               std::string body) = 0;
  // All answers are OK.
  virtual Response Write(const std::vector<ImageAnswer>& answers) const = 0;

  const App& app() const { return app_; }
  const RequestHead& head() const { return request_.head; }

 private:
  absl::Status Begin(std::shared_ptr<InferenceCall> self);
  void Answer(const std::vector<ImageAnswer>& answers);
  void Fail(const absl::Status& status);

  App& app_;
  Request request_;
  Responder responder_;
  std::shared_ptr<const model::Session> session_;  // that was asked
};

}  // namespace oriel::serving::http
