// Finding model directories and checking that they are whole.
//
//   <root>/<name>/<version>/    versions are numbers; the highest is the one meant
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/status.h"
#include "engine/quantize/calibration.h"
#include "labels/labels.h"
#include "model/model_config.h"

namespace oriel::model {

inline constexpr char kGraphFile[] = "model.pb";
inline constexpr char kDescriptionsFile[] = "descriptions.txt";
inline constexpr char kWnidsFile[] = "wnids.txt";
inline constexpr char kConfigFile[] = "oriel.json";

struct ModelDirectory {
  std::string name;
  std::string version;
  std::filesystem::path path;  // of the version
};

// Letters, digits, '_', '-' and '.', not first a '.' or '-'; at most 128.
absl::Status CheckModelName(std::string_view name);

// 1 to 18 digits without a leading zero: nullopt for names of anything else.
std::optional<int64_t> ParseVersion(std::string_view text);

// Name and version of a path .../<name>/<version>; where the last part is no
// version it is the name, and the version is "1".
ModelDirectory DescribeDirectory(const std::filesystem::path& version_directory);

// The directory that `model` means: the path of a version (it has an oriel.json),
// the path of a model with versions in it, or the name of a model under `root`.
// A path is what has a '/' in it. kNotFound that says what to do.
absl::StatusOr<ModelDirectory> FindModel(std::string_view model,
                                         const std::filesystem::path& root);

// What is meant when no model is named: the first of kDefaultModels that is
// exported, else the one that is. kNotFound that tells how to export one.
absl::StatusOr<ModelDirectory> FindDefaultModel(const std::filesystem::path& root);
inline constexpr const char* kDefaultModels[] = {"inception_resnet_v2",
                                                 "efficientnet_lite2"};

// The newest version of each model under `root`, by name. Empty where there is
// no such folder.
std::vector<ModelDirectory> ListModels(const std::filesystem::path& root);

// A model directory as it was read and checked.
struct ModelFiles {
  ModelConfig config;
  labels::Lines descriptions;  // config.num_classes lines
  labels::Lines wnids;         // as many, or none
  // model.pb; its hash is the config's. Null: it was not asked for.
  std::shared_ptr<const MappedFile> graph;
  // calibration.json, of this model.pb; null: there is none, or it was not asked for.
  std::shared_ptr<const engine::Calibration> calibration;
};

// kDataLoss unless model.pb, which `file` is, has the SHA-256 that the config says.
absl::Status CheckGraphDigest(std::string_view found, const std::filesystem::path& file,
                              const ModelConfig& config);

struct ModelFilesOptions {
  bool graph = true;  // false: ModelGraph opens it
  bool calibration = true;
};

// kNotFound, kInvalidArgument, kDataLoss that name file, found and wanted.
absl::StatusOr<ModelFiles> ReadModelFiles(const std::filesystem::path& version_directory,
                                          const ModelFilesOptions& options = {});

}  // namespace oriel::model
