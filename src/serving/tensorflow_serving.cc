#include "serving/tensorflow_serving.h"

#include <utility>

namespace oriel::serving::tensorflow_serving {

absl::StatusOr<std::string> ResolveSignature(std::string_view name) {
  if (name.empty() || name == kDefaultSignature) return kDefaultSignature;
  if (name == kTopKSignature) return kTopKSignature;
  return InvalidArgument("there is no signature '{}'; there are: {}, {}", name,
                         kDefaultSignature, kTopKSignature);
}

std::vector<Signature> Signatures(const model::Session& session) {
  const auto tensor = [](std::string_view key, tensorflow::DataType dtype,
                         std::vector<int64_t> shape, std::string_view node) {
    return SignatureTensor{std::string(key), dtype, std::move(shape),
                           fmt::format("{}:0", node)};
  };
  const std::vector<SignatureTensor> inputs = {
      tensor(kImageBytes, tensorflow::DT_STRING, {-1}, kImageBytes)};
  return {
      {kDefaultSignature,
       inputs,
       {tensor(kProbabilities, tensorflow::DT_FLOAT, {-1, session.num_classes()},
               session.config().predictions)}},
      {kTopKSignature,
       inputs,
       {tensor(kClasses, tensorflow::DT_STRING, {-1, -1}, kClasses),
        tensor(kScores, tensorflow::DT_FLOAT, {-1, -1}, kScores),
        tensor(kIndices, tensorflow::DT_INT32, {-1, -1}, kIndices)}},
  };
}

absl::StatusOr<std::vector<VersionStatus>> VersionsOf(const ModelRepository& models,
                                                      const ModelSpec& spec) {
  const std::string name = spec.name.empty() ? models.DefaultModel() : spec.name;
  ASSIGN_OR_RETURN(ModelStatus status, models.Status(name));
  std::optional<int64_t> wanted = spec.version;
  if (!spec.label.empty()) {
    const auto labels = models.Labels(name);
    const auto label = labels.find(spec.label);
    if (label == labels.end()) {
      return NotFound("model '{}' has no label '{}'", name, spec.label);
    }
    wanted = label->second;
  }
  if (wanted.has_value()) {
    std::erase_if(status.versions,
                  [&](const VersionStatus& v) { return v.version != *wanted; });
  }
  if (status.versions.empty()) {
    return NotFound("model '{}' has no such version", name);
  }
  return std::move(status.versions);
}

absl::Status NoRegression() {
  return InvalidArgument("the model has no regression: it classifies");
}

}  // namespace oriel::serving::tensorflow_serving
