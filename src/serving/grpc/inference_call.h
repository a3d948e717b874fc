// One inference of either protocol over gRPC, from its message to its answer.
#pragma once

#include <absl/functional/any_invocable.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serving/grpc/context.h"
#include "serving/inference_report.h"
#include "serving/priority.h"
#include "serving/served_model.h"
#include "serving/upload_budget.h"

namespace oriel::serving::grpc {

// Subclasses read and write the protocol; they are called on threads of the pool, one
// after the other.
class InferenceCall {
 public:
  // What came with the message.
  struct Arrival {
    ::grpc::ByteBuffer message;
    TimePoint deadline = kNever;
    int priority = kDefaultPriority;  // where the message says none
    CancellationPtr cancellation;
  };
  // Called once, from any thread.
  using Done = absl::AnyInvocable<void(absl::StatusOr<::grpc::ByteBuffer>) &&>;

  explicit InferenceCall(const Context& context) : context_(context) {}
  virtual ~InferenceCall() = default;

  // Parses the message on the pool, asks the model, answers. The message's bytes count
  // against the context's budget until `done` is called.
  static void Start(std::shared_ptr<InferenceCall> call, Arrival arrival, Done done);

  // Once `done` is called: of a model that has answered, or has tried to.
  const std::optional<InferenceReport>& report() const { return report_; }

 protected:
  // Which model to ask.
  virtual absl::StatusOr<ModelSpec> Parse(::grpc::ByteBuffer message) = 0;
  virtual absl::StatusOr<ClassifyRequest> Read(const model::Session& session) = 0;
  // All answers are OK.
  virtual absl::StatusOr<::grpc::ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const = 0;

  const Context& context() const { return context_; }

 private:
  absl::Status Begin(const std::shared_ptr<InferenceCall>& self);
  absl::StatusOr<::grpc::ByteBuffer> Answer(const std::vector<ImageAnswer>& answers);
  void Finish(absl::StatusOr<::grpc::ByteBuffer> answer);

  const Context& context_;
  Arrival arrival_;
  UploadLease lease_;
  std::shared_ptr<const model::Session> session_;
  std::optional<InferenceReport> report_;
  Done done_;
};

}  // namespace oriel::serving::grpc
