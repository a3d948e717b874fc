#include "serving/grpc/unary_call.h"

#include <google/protobuf/empty.pb.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "serving/grpc/call_log.h"

namespace oriel::serving::grpc {
namespace {

// Deletes itself when gRPC is done with it, which is after Finish.
class InferenceReactor final : public ::grpc::ServerUnaryReactor {
 public:
  InferenceReactor(const Context& context, const UnaryCall& call)
      : context_(context),
        call_(call),
        log_(context, *call.context, call.method, call.protocol, call.request->Length()) {
  }

  void Run(const std::shared_ptr<InferenceCall>& inference, int priority) {
    InferenceCall::Arrival arrival;
    // Else gRPC would keep the bytes until the call ends, beside the parsed message. The
    // buffer was made by gRPC for this call, and nobody reads it again.
    arrival.message.Swap(const_cast<::grpc::ByteBuffer*>(call_.request));
    arrival.deadline = DeadlineOf(context_, *call_.context);
    arrival.priority = priority;
    arrival.cancellation = cancellation_;
    InferenceCall::Start(
        inference, std::move(arrival),
        [this, inference](absl::StatusOr<::grpc::ByteBuffer> answer) {
          if (answer.ok()) *call_.response = *std::move(answer);
          const ::grpc::Status status = ToGrpc(answer.status(), call_.protocol);
          log_.Record(status, call_.response->Length(), false, inference->report());
          Finish(status);
        });
  }

 private:
  void OnCancel() override { cancellation_->Cancel(); }
  void OnDone() override { delete this; }

  const Context& context_;
  const UnaryCall call_;
  const CallLog log_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
};

}  // namespace

TimePoint DeadlineOf(const Context& context, const ::grpc::CallbackServerContext& call) {
  const TimePoint now = context.clock.Now();
  const auto limit = context.request_timeout;
  // gRPC's is in the clock of the wall, and far away where the client set none.
  const auto left = call.deadline() - std::chrono::system_clock::now();
  if (left >= limit) return now + limit;
  return now + std::chrono::duration_cast<Duration>(left);
}

::grpc::ServerUnaryReactor* StartInference(const Context& context, const UnaryCall& call,
                                           std::shared_ptr<InferenceCall> inference) {
  const Admission admission = Admit(context, *call.context, call.access);
  if (!admission.status.ok()) {
    return FinishNow(context, call, admission.status, google::protobuf::Empty());
  }
  const auto priority =
      NumberIn(*call.context, "x-request-priority", kFirstPriority, kLastPriority);
  if (!priority.ok()) {
    return FinishNow(context, call, priority.status(), google::protobuf::Empty());
  }
  auto* reactor = new InferenceReactor(context, call);
  reactor->Run(inference, priority->value_or(kDefaultPriority));
  return reactor;
}

::grpc::ServerUnaryReactor* Refuse(const Context& context, const UnaryCall& call,
                                   const absl::Status& why) {
  const Admission admission = Admit(context, *call.context, call.access);
  return FinishNow(context, call, admission.status.ok() ? why : admission.status,
                   google::protobuf::Empty());
}

::grpc::ServerUnaryReactor* FinishNow(const Context& context, const UnaryCall& call,
                                      const absl::Status& status,
                                      const google::protobuf::Message& response) {
  const CallLog log(context, *call.context, call.method, call.protocol,
                    call.request->Length());
  if (status.ok()) *call.response = SerializeMessage(response);
  const ::grpc::Status told = ToGrpc(status, call.protocol);
  log.Record(told, call.response->Length(), call.access == Access::kPublic);
  ::grpc::ServerUnaryReactor* reactor = call.context->DefaultReactor();
  reactor->Finish(told);
  return reactor;
}

}  // namespace oriel::serving::grpc
