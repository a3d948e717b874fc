// ModelInferRequest to what a model takes, and its answers to ModelInferResponse.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "inference/grpc_service.pb.h"
#include "serving/model_repository.h"
#include "serving/served_model.h"

namespace oriel::serving::grpc {

// By a model's name and version as the protocol writes them: "" is the default model,
// the highest version. kInvalidArgument for a version that is no number.
absl::StatusOr<ModelSpec> SpecFrom(const std::string& name, const std::string& version);

// What a request asks for; its images are in `classify`.
struct InferCallPlan {
  ClassifyRequest classify;
  std::string model_name, model_version;
  std::string id;
  std::string output;      // as the request calls it
  int classification = 0;  // > 0: the so many best classes, as strings
};

// Takes the images out of `request`. kInvalidArgument for what the model does not take.
// `now`: that a timeout counts from.
absl::StatusOr<InferCallPlan> ReadInferRequest(inference::ModelInferRequest& request,
                                               const model::Session& session,
                                               TimePoint now);

// All answers are OK. The output is raw, as Triton's is.
inference::ModelInferResponse WriteInferResponse(const InferCallPlan& plan,
                                                 const std::vector<ImageAnswer>& answers);

}  // namespace oriel::serving::grpc
