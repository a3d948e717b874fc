// Calls of one message and one answer.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "serving/grpc/admission.h"
#include "serving/grpc/context.h"
#include "serving/grpc/inference_call.h"
#include "serving/grpc/status.h"
#include "serving/grpc/wire.h"

namespace oriel::serving::grpc {

// Of messages that carry no images.
inline constexpr uint64_t kMaxSmallMessageBytes = 64 << 10;

// A call as gRPC hands it to a service.
struct UnaryCall {
  ::grpc::CallbackServerContext* context;
  const ::grpc::ByteBuffer* request;
  ::grpc::ByteBuffer* response;
  Protocol protocol;
  const char* method;  // "/package.Service/Method"; lives for ever
  Access access = Access::kUse;
};

// When the client stops waiting, and at the latest the server's own timeout from now.
TimePoint DeadlineOf(const Context& context, const ::grpc::CallbackServerContext& call);

// Answers on the pool and by the model.
::grpc::ServerUnaryReactor* StartInference(const Context& context, const UnaryCall& call,
                                           std::shared_ptr<InferenceCall> inference);

// Answers at once with `status`, and where that is OK with `response`.
::grpc::ServerUnaryReactor* FinishNow(const Context& context, const UnaryCall& call,
                                      const absl::Status& status,
                                      const google::protobuf::Message& response);

// Answers with `why` whoever may call at all.
::grpc::ServerUnaryReactor* Refuse(const Context& context, const UnaryCall& call,
                                   const absl::Status& why);

// Answers at once, on gRPC's own thread: `answer` is quick and waits for nothing.
template <typename Request, typename Response>
::grpc::ServerUnaryReactor* AnswerNow(const Context& context, const UnaryCall& call,
                                      absl::Status (*answer)(const Context&,
                                                             const Request&, Response&)) {
  Request request;
  Response response;
  absl::Status status = Admit(context, *call.context, call.access).status;
  if (status.ok()) status = ParseMessage(*call.request, kMaxSmallMessageBytes, request);
  if (status.ok()) status = answer(context, request, response);
  return FinishNow(context, call, status, response);
}

}  // namespace oriel::serving::grpc
