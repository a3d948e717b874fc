#include "serving/grpc/inference_call.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "serving/access_log.h"

namespace oriel::serving::grpc {

void InferenceCall::Start(std::shared_ptr<InferenceCall> call, Arrival arrival,
                          Done done) {
  const Context& context = call->context_;
  call->arrival_ = std::move(arrival);
  call->done_ = std::move(done);
  call->lease_ = UploadLease(context.uploads);
  ++context.active;
  if (context.draining) {
    return call->Finish(Unavailable("the server is shutting down"));
  }
  if (!call->lease_.Grow(call->arrival_.message.Length())) {
    return call->Finish(
        ResourceExhausted("the server is busy: too many uploads are in memory"));
  }
  const bool accepted = context.pool.TrySubmit([call] {
    absl::Status status;
    try {
      status = call->Begin(call);
    } catch (const std::exception& error) {  // memory, for the most part
      status = Internal("a request could not be read: {}", error.what());
    }
    if (!status.ok()) call->Finish(std::move(status));
  });
  if (!accepted) {
    call->Finish(ResourceExhausted("the server is busy: too many requests wait"));
  }
}

absl::Status InferenceCall::Begin(const std::shared_ptr<InferenceCall>& self) {
  if (IsCancelled(arrival_.cancellation)) return Cancelled("nobody waits for the answer");
  ASSIGN_OR_RETURN(const ModelSpec spec, Parse(std::move(arrival_.message)));
  ASSIGN_OR_RETURN(const auto model, context_.models.Get(spec));
  session_ = model->session().shared_from_this();
  ASSIGN_OR_RETURN(ClassifyRequest classify, Read(*session_));
  classify.deadline = std::min(classify.deadline, arrival_.deadline);
  if (classify.priority == kDefaultPriority) classify.priority = arrival_.priority;
  classify.cancellation = arrival_.cancellation;
  return model->Classify(std::move(classify), [self](std::vector<ImageAnswer> answers) {
    // A thousand numbers for each image: too much work for a plan worker.
    self->context_.pool.SubmitUrgent([self, answers = std::move(answers)] {
      try {
        self->Finish(self->Answer(answers));
      } catch (const std::exception& error) {
        self->Finish(Internal("an answer could not be written: {}", error.what()));
      }
    });
  });
}

absl::StatusOr<::grpc::ByteBuffer> InferenceCall::Answer(
    const std::vector<ImageAnswer>& answers) {
  report_ = ReportOf(*session_, answers);
  for (size_t i = 0; i < answers.size(); ++i) {
    const absl::Status& status = answers[i].status;
    if (status.ok()) continue;
    return absl::Status(status.code(), fmt::format("image {}: {}", i, Message(status)));
  }
  return Write(answers);
}

void InferenceCall::Finish(absl::StatusOr<::grpc::ByteBuffer> answer) {
  // Given back before the client can know the answer.
  { const UploadLease returned = std::move(lease_); }
  // After `done` the server may be gone.
  --context_.active;
  std::exchange(done_, nullptr)(std::move(answer));
}

}  // namespace oriel::serving::grpc
