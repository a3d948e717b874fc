#include "model/model_directory.h"

#include <algorithm>
#include <charconv>

#include "base/digest.h"
#include "base/utf8.h"
#include "model/calibration_file.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The highest version under a model's directory.
std::optional<fs::path> NewestVersion(const fs::path& model) {
  std::error_code error;
  std::optional<fs::path> newest;
  int64_t highest = -1;
  for (auto it = fs::directory_iterator(model, error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    const auto version = ParseVersion(it->path().filename().string());
    if (!version || *version <= highest || !IsDirectory(it->path())) continue;
    highest = *version;
    newest = it->path();
  }
  return newest;
}

std::string ExportedModels(const fs::path& root) {
  std::string names;
  for (const ModelDirectory& model : ListModels(root)) {
    names += (names.empty() ? "" : ", ") + model.name;
  }
  return names.empty() ? fmt::format("no model is exported under {}", root.string())
                       : fmt::format("exported under {}: {}", root.string(), names);
}

}  // namespace

absl::Status CheckModelName(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-' || c == '.';
  };
  if (name.empty() || name.size() > 128 || name[0] == '.' || name[0] == '-' ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return InvalidArgument(
        "model name '{}': want letters, digits, '_', '-' and '.', at most 128",
        Printable(name.substr(0, 200)));
  }
  return absl::OkStatus();
}

std::optional<int64_t> ParseVersion(std::string_view text) {
  if (text.empty() || text.size() > 18 || (text[0] == '0' && text.size() > 1)) {
    return std::nullopt;
  }
  int64_t version = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 0) {
    return std::nullopt;
  }
  return version;
}

ModelDirectory DescribeDirectory(const fs::path& version_directory) {
  std::error_code error;
  fs::path path = fs::absolute(version_directory, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const std::string last = path.filename().string();
  if (!ParseVersion(last)) return {last, "1", version_directory};
  return {path.parent_path().filename().string(), last, version_directory};
}

absl::StatusOr<ModelDirectory> FindModel(std::string_view model, const fs::path& root) {
  const bool is_path =
      model.find('/') != std::string_view::npos || model == "." || model == "..";
  if (!is_path) RETURN_IF_ERROR(CheckModelName(model));
  const fs::path path = is_path ? fs::path(model) : root / model;
  if (IsFile(path / kConfigFile)) return DescribeDirectory(path);
  if (const auto newest = NewestVersion(path)) return DescribeDirectory(*newest);
  if (is_path) {
    return NotFound("{}: no model here: neither {} nor a folder with a version's number",
                    Printable(path.string()), kConfigFile);
  }
  if (model.ends_with(".pb") || model.ends_with(".pbtxt")) {
    return NotFound("{}: No such file or directory", model);
  }
  return NotFound("model '{}' is not exported ({}); 'oriel export {}' makes it", model,
                  ExportedModels(root), model);
}

absl::StatusOr<ModelDirectory> FindDefaultModel(const fs::path& root) {
  for (const char* name : kDefaultModels) {
    if (const auto newest = NewestVersion(root / name)) return DescribeDirectory(*newest);
  }
  const std::vector<ModelDirectory> exported = ListModels(root);
  if (exported.size() == 1) return exported[0];
  if (!exported.empty()) {
    return NotFound("{}; name the one to use with --model", ExportedModels(root));
  }
  return NotFound(
      "{}; 'oriel export {}' makes the full model, 'oriel export {}' a small one",
      ExportedModels(root), kDefaultModels[0], kDefaultModels[1]);
}

std::vector<ModelDirectory> ListModels(const fs::path& root) {
  std::vector<ModelDirectory> models;
  std::error_code error;
  for (auto it = fs::directory_iterator(root, error);
       !error && it != fs::directory_iterator(); it.increment(error)) {
    if (!CheckModelName(it->path().filename().string()).ok()) continue;
    if (const auto newest = NewestVersion(it->path())) {
      models.push_back(DescribeDirectory(*newest));
    }
  }
  std::sort(models.begin(), models.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

absl::Status CheckGraphDigest(std::string_view found, const fs::path& file,
                              const ModelConfig& config) {
  if (found == config.model_sha256) return absl::OkStatus();
  return DataLoss("{}: SHA-256 is {}, {} says {}", file.string(), found, kConfigFile,
                  config.model_sha256);
}

absl::StatusOr<ModelFiles> ReadModelFiles(const fs::path& version_directory,
                                          const ModelFilesOptions& options) {
  ModelFiles files;
  ASSIGN_OR_RETURN(files.config, ReadModelConfig(version_directory / kConfigFile));

  const auto check_count = [&](const labels::Lines& lines, const char* file) {
    if (lines.size() == files.config.num_classes) return absl::OkStatus();
    return InvalidArgument("{}: has {} lines, the model has {} classes",
                           (version_directory / file).string(), lines.size(),
                           files.config.num_classes);
  };
  ASSIGN_OR_RETURN(files.descriptions,
                   labels::ReadDescriptions(version_directory / kDescriptionsFile));
  RETURN_IF_ERROR(check_count(files.descriptions, kDescriptionsFile));
  if (IsFile(version_directory / kWnidsFile)) {
    ASSIGN_OR_RETURN(files.wnids, labels::ReadWnids(version_directory / kWnidsFile));
    RETURN_IF_ERROR(check_count(files.wnids, kWnidsFile));
  }

  if (options.graph) {
    const fs::path graph = version_directory / kGraphFile;
    ASSIGN_OR_RETURN(files.graph, MappedFile::Open(graph));
    RETURN_IF_ERROR(CheckGraphDigest(HexDigest(DigestKind::kSha256, files.graph->bytes()),
                                     graph, files.config));
  }
  const fs::path calibration = version_directory / kCalibrationFile;
  if (options.calibration && IsFile(calibration)) {
    ASSIGN_OR_RETURN(CalibrationFile file, ReadCalibration(calibration));
    if (file.model_sha256 != files.config.model_sha256) {
      return DataLoss(
          "{}: is of another {}, of SHA-256 {}; 'oriel calibrate' makes a new one",
          calibration.string(), kGraphFile, file.model_sha256);
    }
    files.calibration =
        std::make_shared<const engine::Calibration>(std::move(file.calibration));
  }
  return files;
}

}  // namespace oriel::model
