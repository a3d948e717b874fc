// ModelInfer, alone and as a message of ModelStreamInfer.
#pragma once

#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "serving/grpc/infer_messages.h"
#include "serving/grpc/inference_call.h"

namespace oriel::serving::grpc {

class InferCall : public InferenceCall {
 public:
  using InferenceCall::InferenceCall;

 protected:
  absl::StatusOr<ModelSpec> Parse(::grpc::ByteBuffer message) override;
  absl::StatusOr<ClassifyRequest> Read(const model::Session& session) override;
  absl::StatusOr<::grpc::ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const override;

  const InferCallPlan& plan() const { return plan_; }

 private:
  inference::ModelInferRequest request_;
  InferCallPlan plan_;
};

// Its answers are ModelStreamInferResponse.
class StreamInferCall : public InferCall {
 public:
  using InferCall::InferCall;

  // The answer of a call that failed. After `done` was called, or before Start.
  ::grpc::ByteBuffer Error(const absl::Status& status) const;

 protected:
  absl::StatusOr<::grpc::ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const override;
};

}  // namespace oriel::serving::grpc
