#include "serving/grpc/infer_call.h"

#include <utility>

#include "serving/grpc/status.h"
#include "serving/grpc/wire.h"

namespace oriel::serving::grpc {

absl::StatusOr<ModelSpec> InferCall::Parse(::grpc::ByteBuffer message) {
  RETURN_IF_ERROR(
      ParseMessage(std::move(message), context().max_message_bytes, request_));
  // For errors; Read tells better.
  plan_.id = request_.id();
  plan_.model_name = request_.model_name();
  plan_.model_version = request_.model_version();
  return SpecFrom(request_.model_name(), request_.model_version());
}

absl::StatusOr<ClassifyRequest> InferCall::Read(const model::Session& session) {
  ASSIGN_OR_RETURN(plan_, ReadInferRequest(request_, session, context().clock.Now()));
  request_.Clear();
  return std::move(plan_.classify);
}

absl::StatusOr<::grpc::ByteBuffer> InferCall::Write(
    const std::vector<ImageAnswer>& answers) const {
  return SerializeMessage(WriteInferResponse(plan_, answers));
}

absl::StatusOr<::grpc::ByteBuffer> StreamInferCall::Write(
    const std::vector<ImageAnswer>& answers) const {
  inference::ModelStreamInferResponse response;
  *response.mutable_infer_response() = WriteInferResponse(plan(), answers);
  // Triton's clients ask by this whether more answers of the request follow.
  auto& parameters = *response.mutable_infer_response()->mutable_parameters();
  parameters["triton_final_response"].set_bool_param(true);
  return SerializeMessage(response);
}

::grpc::ByteBuffer StreamInferCall::Error(const absl::Status& status) const {
  inference::ModelStreamInferResponse response;
  response.set_error_message(ToGrpc(status, Protocol::kOpenInference).error_message());
  response.mutable_infer_response()->set_id(plan().id);
  response.mutable_infer_response()->set_model_name(plan().model_name);
  response.mutable_infer_response()->set_model_version(plan().model_version);
  return SerializeMessage(response);
}

}  // namespace oriel::serving::grpc
