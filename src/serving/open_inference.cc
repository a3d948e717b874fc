#include "serving/open_inference.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "serving/priority.h"

namespace oriel::serving::open_inference {
namespace {

constexpr size_t kLengthPrefix = 4;  // of an element of a BYTES tensor
constexpr int64_t kMostImages = 1 << 20;

}  // namespace

absl::StatusOr<InputTensor> InputTensor::Make(const model::Session& session,
                                              std::string_view name,
                                              std::string_view datatype,
                                              std::span<const int64_t> shape) {
  const model::ModelConfig& config = session.config();
  if (name != config.input && name != kImageBytes) {
    return InvalidArgument("there is no input '{}': want '{}' or '{}'", name,
                           config.input, kImageBytes);
  }
  if (datatype != "FP32" && datatype != "BYTES") {
    return InvalidArgument(
        "input '{}' has datatype {}: want FP32, or BYTES for encoded images", name,
        datatype);
  }
  InputTensor input;
  input.session_ = &session;
  input.name_ = name;
  input.is_bytes_ = datatype == "BYTES";
  const int64_t image[] = {config.height, config.width, 3};
  const bool counted = !shape.empty() && shape[0] >= 1 && shape[0] <= kMostImages;
  const bool fits =
      counted &&
      (input.is_bytes_ ? shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)
                       : std::ranges::equal(shape.subspan(1), image));
  if (!fits) {
    return InvalidArgument(
        "input '{}' has shape [{}]: want {}", name, fmt::join(shape, ", "),
        input.is_bytes_ ? "[N] of encoded images"
                        : fmt::format("[N, {}, {}, 3]", image[0], image[1]));
  }
  input.images_ = static_cast<size_t>(shape[0]);
  return input;
}

absl::StatusOr<ClassifyRequest> InputTensor::FromRaw(std::string_view raw) const {
  return is_bytes_ ? ImagesFromRaw(raw) : FloatsFromRaw(raw);
}

absl::StatusOr<ClassifyRequest> InputTensor::FloatsFromRaw(std::string_view raw) const {
  const size_t want = floats();
  if (raw.size() != want * sizeof(float)) {
    return InvalidArgument("input '{}' has {} bytes: want {} floats, {} bytes", name_,
                           raw.size(), want, want * sizeof(float));
  }
  ClassifyRequest request;
  request.pixels.resize(want);
  std::memcpy(request.pixels.data(), raw.data(), raw.size());
  return request;
}

absl::StatusOr<ClassifyRequest> InputTensor::ImagesFromRaw(std::string_view raw) const {
  ClassifyRequest request;
  for (size_t i = 0; i < images_; ++i) {
    uint32_t size = 0;
    if (raw.size() < kLengthPrefix) {
      return InvalidArgument("input '{}' ends before the length of element {}", name_, i);
    }
    std::memcpy(&size, raw.data(), kLengthPrefix);
    raw.remove_prefix(kLengthPrefix);
    if (size > raw.size()) {
      return InvalidArgument("input '{}': element {} has {} bytes, {} are left", name_, i,
                             size, raw.size());
    }
    request.images.push_back(std::make_shared<const std::string>(raw.substr(0, size)));
    raw.remove_prefix(size);
  }
  if (!raw.empty()) {
    return InvalidArgument("input '{}': {} bytes are left after {} elements", name_,
                           raw.size(), images_);
  }
  return request;
}

absl::Status CheckOutput(const model::Session& session, std::string_view name) {
  if (name == kProbabilities || name == session.config().predictions) {
    return absl::OkStatus();
  }
  return InvalidArgument("there is no output '{}': want '{}'", name, kProbabilities);
}

std::string ClassificationText(const model::ScoredLabel& label) {
  return fmt::format("{:.6f}:{}:{}", label.probability, label.index, label.label);
}

void AppendElement(std::string_view element, std::string& raw) {
  const uint32_t size = static_cast<uint32_t>(element.size());
  raw.append(reinterpret_cast<const char*>(&size), kLengthPrefix);
  raw += element;
}

TimePoint DeadlineAfter(TimePoint now, int64_t timeout_us) {
  if (timeout_us <= 0) return kNever;
  constexpr int64_t kDay = 86'400'000'000;
  return now + std::chrono::microseconds(std::min(timeout_us, kDay));
}

int PriorityFrom(int64_t priority) {
  if (priority <= 0) return kDefaultPriority;
  return static_cast<int>(std::min<int64_t>(priority, kLastPriority));
}

std::string_view RepositoryState(VersionState state) {
  switch (state) {
    case VersionState::kAvailable:
      return "READY";
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kUnloading:
      return "UNLOADING";
    default:
      return "UNAVAILABLE";
  }
}

std::vector<RepositoryEntry> RepositoryIndex(const ModelRepository& models,
                                             bool ready_only) {
  std::vector<RepositoryEntry> entries;
  for (const ModelStatus& model : models.Index()) {
    for (const VersionStatus& version : model.versions) {
      if (ready_only && version.state != VersionState::kAvailable) continue;
      entries.push_back({model.name, std::to_string(version.version),
                         std::string(RepositoryState(version.state)),
                         std::string(Message(version.error))});
    }
    if (model.versions.empty() && !ready_only) {
      entries.push_back({model.name, "", "UNAVAILABLE", "unloaded"});
    }
  }
  return entries;
}

std::vector<std::string> AvailableVersions(const ModelRepository& models,
                                           std::string_view name) {
  std::vector<std::string> versions;
  const auto status = models.Status(name);
  if (!status.ok()) return versions;
  for (auto it = status->versions.rbegin(); it != status->versions.rend(); ++it) {
    if (it->state == VersionState::kAvailable) {
      versions.push_back(std::to_string(it->version));
    }
  }
  return versions;
}

absl::Status ServerReadiness(const ModelRepository& models, bool draining) {
  if (draining) return Unavailable("the server is shutting down");
  if (!models.started()) return Unavailable("models are still loading");
  return absl::OkStatus();
}

absl::Status CheckControl(const ModelRepository& models, bool is_admin) {
  if (is_admin || models.options().load_on_demand) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "models are loaded as their folders say: start the server with --load-on-demand to "
      "load and unload them by request, or send an admin's API key");
}

}  // namespace oriel::serving::open_inference
