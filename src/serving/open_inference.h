// What the Open Inference Protocol, version 2, says of a model here, over REST and over
// gRPC alike (docs/open_inference.md).
//
// A model has one input, which goes by the name of the network's own input or by
// `image_bytes`, and takes
//   BYTES [N] or [N, 1]             encoded images
//   FP32  [N, height, width, 3]     what the network takes
// and one output, `probabilities`: FP32 [N, classes], or with the classification
// extension BYTES [N, K] of "probability:index:label".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/session.h"
#include "serving/model_repository.h"
#include "serving/served_model.h"

namespace oriel::serving::open_inference {

inline constexpr char kServerName[] = "oriel";
inline constexpr char kPlatform[] = "oriel_classifier";
inline constexpr char kBackend[] = "oriel";
inline constexpr char kImageBytes[] = "image_bytes";
inline constexpr char kProbabilities[] = "probabilities";
// Of the protocol's own and of Triton's.
inline constexpr std::string_view kExtensions[] = {
    "binary_tensor_data", "classification", "model_configuration",
    "model_repository",   "parameters",     "statistics"};

// The one input of a request.
class InputTensor {
 public:
  // The session outlives it. kInvalidArgument for a name, datatype or shape that the
  // model does not take.
  static absl::StatusOr<InputTensor> Make(const model::Session& session,
                                          std::string_view name,
                                          std::string_view datatype,
                                          std::span<const int64_t> shape);

  const std::string& name() const { return name_; }
  bool is_bytes() const { return is_bytes_; }
  size_t images() const { return images_; }
  size_t floats() const { return images_ * session_->image_elements(); }

  // From its raw form: little-endian floats, or elements with their lengths (uint32)
  // before them. kInvalidArgument unless it is exactly as long as the shape says.
  absl::StatusOr<ClassifyRequest> FromRaw(std::string_view raw) const;

 private:
  InputTensor() = default;
  absl::StatusOr<ClassifyRequest> ImagesFromRaw(std::string_view raw) const;
  absl::StatusOr<ClassifyRequest> FloatsFromRaw(std::string_view raw) const;

  const model::Session* session_ = nullptr;
  std::string name_;
  bool is_bytes_ = false;
  size_t images_ = 0;
};

// kInvalidArgument for an output that the model does not have.
absl::Status CheckOutput(const model::Session& session, std::string_view name);

// "0.639815:0:tench, Tinca tinca".
std::string ClassificationText(const model::ScoredLabel& label);

// An element of a BYTES tensor in raw form.
void AppendElement(std::string_view element, std::string& raw);

// Of the request's parameter `timeout`, in microseconds: 0 is none, and none is more
// than a day.
TimePoint DeadlineAfter(TimePoint now, int64_t timeout_us);

// Of the request's parameter `priority`: 0 is the default, 1 the first, and none is later
// than kLastPriority.
int PriorityFrom(int64_t priority);

// What Triton's clients call the states: "READY".
std::string_view RepositoryState(VersionState state);

struct RepositoryEntry {
  std::string name;
  std::string version;  // "": the model is known, and none of its versions
  std::string state;
  std::string reason;
};
std::vector<RepositoryEntry> RepositoryIndex(const ModelRepository& models,
                                             bool ready_only);

// Versions that answer, lowest first.
std::vector<std::string> AvailableVersions(const ModelRepository& models,
                                           std::string_view name);

// kUnavailable while models load and once the server drains.
absl::Status ServerReadiness(const ModelRepository& models, bool draining);

// Who may load and unload models: everybody where they are loaded on demand, else whoever
// came with an admin's key. kInvalidArgument for others.
absl::Status CheckControl(const ModelRepository& models, bool is_admin);

}  // namespace oriel::serving::open_inference
