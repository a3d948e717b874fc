// TensorFlow Serving's requests to what a model takes, and its answers back.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "serving/model_repository.h"
#include "serving/served_model.h"
#include "tensorflow_serving/model_service.pb.h"
#include "tensorflow_serving/prediction_service.pb.h"

namespace oriel::serving::grpc {

// "" is the default model; no version and no label the highest version.
ModelSpec SpecFrom(const tensorflow::serving::ModelSpec& proto);

// What a request for Predict asks for; its images are in `classify`.
struct PredictPlan {
  ClassifyRequest classify;
  tensorflow::serving::ModelSpec spec;  // of the model that answers
  std::vector<std::string> outputs;     // of the signature; not empty
};

// The spec that an answer names.
tensorflow::serving::ModelSpec AnsweringSpec(const model::Session& session,
                                             const std::string& signature);

// Takes the images out of `request`. kInvalidArgument for what the model does not take.
absl::StatusOr<PredictPlan> ReadPredictRequest(
    tensorflow::serving::PredictRequest& request, const model::Session& session,
    int top_k);

// All answers are OK. Values are in the typed lists, as TensorFlow Serving's are.
tensorflow::serving::PredictResponse WritePredictResponse(
    const PredictPlan& plan, const std::vector<ImageAnswer>& answers);

// tf.Examples, each with one image in `image_bytes` or `image/encoded`; their other
// features are not looked at. Takes the images out of `input`.
absl::StatusOr<ClassifyRequest> ReadExamples(tensorflow::serving::Input& input,
                                             int top_k);
void WriteClassifications(const std::vector<ImageAnswer>& answers,
                          tensorflow::serving::ClassificationResult& result);

// All tasks classify by the same model: its spec. kInvalidArgument for others.
absl::StatusOr<ModelSpec> CheckTasks(
    const tensorflow::serving::MultiInferenceRequest& request);

tensorflow::serving::SignatureDefMap DescribeSignatures(const model::Session& session);

void WriteVersionStatus(const VersionStatus& version,
                        tensorflow::serving::ModelVersionStatus& out);

}  // namespace oriel::serving::grpc
