// POST /v2/models/{model}/infer: tensors and images in JSON, binary and bare bodies.
#pragma once

#include <string>
#include <vector>

#include "serving/http/inference_call.h"
#include "serving/http/json.h"
#include "serving/http/json_document.h"

namespace oriel::serving::http {

class InferCall : public InferenceCall {
 public:
  using InferenceCall::InferenceCall;

 protected:
  absl::StatusOr<ClassifyRequest> Read(const model::Session& session,
                                       std::string body) override;
  Response Write(const std::vector<ImageAnswer>& answers) const override;

 private:
  absl::StatusOr<ClassifyRequest> ReadBare(const model::Session& session,
                                           std::string body);
  absl::Status ReadParameters(const JsonValue& root, ClassifyRequest& request);
  absl::Status ReadOutputs(const JsonValue& root, const model::Session& session);

  std::string model_name_, model_version_;
  std::string id_;
  std::string output_;      // as the request calls it
  int classification_ = 0;  // > 0: the so many best classes, as strings
  bool binary_ = false;     // the output follows the JSON
};

}  // namespace oriel::serving::http
