// What TensorFlow Serving's API says of a model here, over REST and over gRPC alike
// (docs/tensorflow_serving.md).
//
// A model has two signatures. Both take encoded images (`image_bytes`, strings) or
// what the network takes (its own input, floats), whichever a request brings:
//   serving_default   -> probabilities  float [N, classes]
//   top_k             -> classes        string [N, K], labels
//                        scores         float [N, K], most probable first
//                        indices        int32 [N, K], of the network's output
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/session.h"
#include "serving/model_repository.h"
#include "tensorflow/types.pb.h"

namespace oriel::serving::tensorflow_serving {

inline constexpr char kDefaultSignature[] = "serving_default";
inline constexpr char kTopKSignature[] = "top_k";
inline constexpr char kPredictMethod[] = "tensorflow/serving/predict";
inline constexpr char kClassifyMethod[] = "tensorflow/serving/classify";
inline constexpr char kRegressMethod[] = "tensorflow/serving/regress";
inline constexpr char kImageBytes[] = "image_bytes";
// What tf.Examples call the same.
inline constexpr char kImageFeature[] = "image/encoded";
inline constexpr char kProbabilities[] = "probabilities";
inline constexpr char kClasses[] = "classes";
inline constexpr char kScores[] = "scores";
inline constexpr char kIndices[] = "indices";

// "" is the default signature. kInvalidArgument for one that is not there.
absl::StatusOr<std::string> ResolveSignature(std::string_view name);

struct SignatureTensor {
  std::string key;
  tensorflow::DataType dtype = tensorflow::DT_INVALID;
  std::vector<int64_t> shape;  // -1: any
  std::string name;            // of the tensor
};

struct Signature {
  std::string name;
  std::vector<SignatureTensor> inputs;
  std::vector<SignatureTensor> outputs;
};

// As metadata tells them.
std::vector<Signature> Signatures(const model::Session& session);

// The versions that a spec means, highest first. kNotFound where there are none.
absl::StatusOr<std::vector<VersionStatus>> VersionsOf(const ModelRepository& models,
                                                      const ModelSpec& spec);

// What a request for regression is told.
absl::Status NoRegression();

}  // namespace oriel::serving::tensorflow_serving
