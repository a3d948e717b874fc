#include "model/model_graph.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/digest.h"
#include "base/files.h"
#include "engine/kernels/isa.h"
#include "engine/onednn/library.h"
#include "engine/weight_store.h"
#include "graph/graph_util.h"
#include "model/calibration_file.h"
#include "model/host_identity.h"
#include "model/model_directory.h"

namespace oriel::model {
namespace fs = std::filesystem;
namespace {

// Smaller constants stay in the graph: biases and the like are folded while a graph is
// compiled, weights are only packed.
constexpr uint64_t kLeastOutside = 16 << 10;

// A file keeps what earlier processes packed and this one had no use for (plans for
// other batch sizes) up to this size.
constexpr uint64_t kMaxUnused = uint64_t{1} << 30;

// Contents of constants from the model's file.
class FileConstants : public engine::ConstantSource {
 public:
  FileConstants(std::unique_ptr<const RandomAccessFile> file,
                const std::vector<graph::ContentPlace>& contents)
      : file_(std::move(file)) {
    for (const graph::ContentPlace& place : contents) places_.emplace(place.node, place);
  }

  std::optional<uint64_t> SizeOf(std::string_view node) const override {
    const auto it = places_.find(std::string(node));
    if (it == places_.end()) return std::nullopt;
    return it->second.size;
  }

 private:
  absl::Status ReadContent(std::string_view node, std::span<uint8_t> dst) const override {
    return file_->Read(places_.at(std::string(node)).offset, dst);
  }

  std::unique_ptr<const RandomAccessFile> file_;
  std::unordered_map<std::string, graph::ContentPlace> places_;
};

// What packed weights and choices depend on besides the model. By another program's
// build, the same key may mean other bytes.
std::string Machine(engine::Precision precision, engine::Backend backend) {
  return fmt::format("cpu {}\ninstructions {}\noneDNN's {}\nprecision {}\nbackend {}\n",
                     CpuModel(), engine::IsaName(engine::MaxIsa()),
                     engine::onednn::EffectiveIsa(), engine::PrecisionName(precision),
                     static_cast<int>(backend));
}

std::string Program() {
  return fmt::format("oriel {} {}\noneDNN {}\n", ORIEL_VERSION, BuildId(),
                     engine::onednn::LibraryVersion());
}

std::string Hash(std::string_view text) {
  constexpr size_t kDigits = 16;
  return HexDigest(DigestKind::kSha256, AsBytes(text)).substr(0, kDigits);
}

// Empty: the user has none.
fs::path UserCacheDirectory() {
  const auto absolute = [](const char* variable) {
    const char* const value = std::getenv(variable);
    const fs::path path = value != nullptr ? value : "";
    return path.is_absolute() ? path : fs::path();
  };
  if (const fs::path xdg = absolute("XDG_CACHE_HOME"); !xdg.empty()) return xdg / "oriel";
  if (const fs::path home = absolute("HOME"); !home.empty()) {
    return home / ".cache" / "oriel";
  }
  return {};
}

std::vector<fs::path> Candidates(const fs::path& version_directory,
                                 std::string_view machine, engine::Precision precision,
                                 const fs::path& directory) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(version_directory, error);
  const std::string file =
      fmt::format("{}-{}.plans", engine::PrecisionName(precision), Hash(machine));
  // Away from the model, a file's name says of which it is.
  const std::string elsewhere =
      Hash((error ? version_directory : canonical).string()) + "-" + file;
  if (!directory.empty()) return {directory / elsewhere};
  std::vector<fs::path> candidates = {version_directory / file};
  if (const fs::path user = UserCacheDirectory(); !user.empty()) {
    candidates.push_back(user / elsewhere);
  }
  // What is written is what is read first the next time.
  const bool writable =
      ::faccessat(AT_FDCWD, version_directory.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
  if (!writable) std::reverse(candidates.begin(), candidates.end());
  return candidates;
}

// The file, if it is ours or root's alone to write to.
absl::StatusOr<std::shared_ptr<const MappedFile>> OpenTrusted(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return ErrnoError(errno, path.string());
  const auto open = [&]() -> absl::StatusOr<std::shared_ptr<const MappedFile>> {
    struct stat info;
    if (::fstat(fd, &info) != 0) return ErrnoError(errno, path.string());
    if (info.st_uid != ::geteuid() && info.st_uid != 0) {
      return PermissionDenied("{}: belongs to user {}", path.string(), info.st_uid);
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      return PermissionDenied("{}: others may write to it", path.string());
    }
    return MappedFile::FromDescriptor(fd, path);
  };
  auto file = open();
  ::close(fd);
  return file;
}

// Processes that write caches in a directory take turns, so that none loses what another
// one adds. A process that waits for too long goes ahead.
class Turn {
 public:
  explicit Turn(const fs::path& directory)
      : fd_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    constexpr int kAttempts = 100;
    constexpr std::chrono::milliseconds kBetween(100);
    for (int i = 0; fd_ >= 0 && i < kAttempts; ++i) {
      if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
      std::this_thread::sleep_for(kBetween);
    }
  }
  ~Turn() {
    if (fd_ >= 0) ::close(fd_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  int fd_;
};

// The first one's code, and what each said.
absl::Status Joined(const std::vector<absl::Status>& errors) {
  std::string text;
  for (const absl::Status& error : errors) {
    text += fmt::format("{}{}", text.empty() ? "" : "; ", Message(error));
  }
  return absl::Status(errors.front().code(), text);
}

absl::Status CheckModelFile(const fs::path& file, const ModelConfig& config) {
  ASSIGN_OR_RETURN(const std::string found, FileHexDigest(DigestKind::kSha256, file));
  return CheckGraphDigest(found, file, config);
}

}  // namespace

ModelGraph::ModelGraph()
    : weights_(engine::NewWeightStore()), choices_(std::make_shared<engine::Choices>()) {}
ModelGraph::~ModelGraph() = default;

absl::Status ModelGraph::ReadGraph(std::string text,
                                   std::vector<graph::ContentPlace> contents,
                                   const fs::path& file) {
  ASSIGN_OR_RETURN(graph_, graph::ParseGraphDef(AsBytes(text), file.string()));
  ASSIGN_OR_RETURN(auto reader, RandomAccessFile::Open(file));
  constants_ = std::make_shared<const FileConstants>(std::move(reader), contents);
  serialized_ = std::move(text);
  contents_ = std::move(contents);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ModelGraph>> ModelGraph::OpenFile(const fs::path& path,
                                                                 bool text) {
  std::unique_ptr<ModelGraph> model(new ModelGraph);
  if (text) {
    ASSIGN_OR_RETURN(model->graph_, graph::ReadGraphDef(path.string(), true));
    return model;
  }
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  auto split = graph::SplitGraphDef(file->bytes(), path.string(), kLeastOutside);
  if (!split.ok()) {  // protobuf's parser says where it is none
    ASSIGN_OR_RETURN(model->graph_, graph::ParseGraphDef(file->bytes(), path.string()));
    return model;
  }
  RETURN_IF_ERROR(
      model->ReadGraph(std::move(split->graph), std::move(split->contents), path));
  return model;
}

absl::Status ModelGraph::LoadCache(const fs::path& path, const fs::path& model_file,
                                   const ModelConfig& config, bool verify) {
  ASSIGN_OR_RETURN(const auto file, OpenTrusted(path));
  ASSIGN_OR_RETURN(PlanCacheContents cache, ParsePlanCache(file->bytes(), path.string()));
  if (cache.fingerprint != fingerprint_) {
    return FailedPrecondition("{}: is of another program or model", path.string());
  }
  // The stamp spares reading all of model.pb: whoever changes it changes the stamp. A
  // copy has another one, and is read to see that it is one.
  const bool copied = cache.model != stamp_;
  if (copied) RETURN_IF_ERROR(CheckModelFile(model_file, config));
  if (verify) RETURN_IF_ERROR(CheckWeights(cache, path.string()));
  RETURN_IF_ERROR(
      ReadGraph(std::string(cache.graph), std::move(cache.contents), model_file));
  file->ExpectReading();
  for (const PlanCacheContents::Weights& weights : cache.weights) {
    weights_->Add(weights.key, weights.bytes, file);
  }
  loaded_choices_ = cache.choices;
  choices_ = std::make_shared<engine::Choices>(std::move(cache.choices));
  outdated_ = copied;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ModelGraph>> ModelGraph::Open(
    const fs::path& version_directory, const ModelConfig& config,
    engine::Precision precision, engine::Backend backend,
    const PlanCacheOptions& options) {
  std::unique_ptr<ModelGraph> model(new ModelGraph);
  const fs::path file = version_directory / kGraphFile;
  ASSIGN_OR_RETURN(model->stamp_, StampOf(file));
  model->report_ = "plan cache: none";
  if (options.enabled && backend != engine::Backend::kReference) {
    const std::string machine = Machine(precision, backend);
    model->fingerprint_ =
        fmt::format("{}{}model {}\n", Program(), machine, config.model_sha256);
    if (precision == engine::Precision::kInt8) {
      const auto calibration =
          FileHexDigest(DigestKind::kSha256, version_directory / kCalibrationFile);
      // Without one there will be no plan either.
      model->fingerprint_ +=
          fmt::format("calibration {}\n", calibration.value_or("none"));
    }
    model->candidates_ =
        Candidates(version_directory, machine, precision, options.directory);
    for (const fs::path& path : model->candidates_) {
      const absl::Status status = model->LoadCache(path, file, config, options.verify);
      if (status.ok()) {
        model->report_ = fmt::format("plan cache: {}", path.string());
        return model;
      }
      if (status.code() != absl::StatusCode::kNotFound) {
        model->report_ = fmt::format("plan cache: not used: {}", Message(status));
      }
    }
  }
  RETURN_IF_ERROR(CheckModelFile(file, config));
  const std::string report = std::move(model->report_);
  ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(file));
  ASSIGN_OR_RETURN(graph::SplitGraph split,
                   graph::SplitGraphDef(mapped->bytes(), file.string(), kLeastOutside));
  RETURN_IF_ERROR(
      model->ReadGraph(std::move(split.graph), std::move(split.contents), file));
  model->report_ = report;
  model->outdated_ = true;
  return model;
}

void ModelGraph::SetUp(engine::PlanOptions& options) const {
  options.constants = constants_;
  options.weights = weights_;
  options.choices = choices_;
}

absl::Status ModelGraph::CheckCacheCanBeSaved() const {
  std::vector<absl::Status> errors;
  for (const fs::path& path : candidates_) {
    std::error_code error;  // what is wrong, writing will say
    fs::create_directories(path.parent_path(), error);
    const absl::Status status = AtomicFile::Create(path).status();
    if (status.ok()) return status;
    errors.push_back(status);
  }
  return errors.empty() ? absl::OkStatus() : Joined(errors);
}

void ModelGraph::AddOthers(const PlanCacheContents& others,
                           PlanCacheContents& cache) const {
  for (const auto& [key, value] : others.choices) {
    const auto was = loaded_choices_.find(key);
    const auto [ours, is_new] = cache.choices.try_emplace(key, value);
    const bool unchanged = was != loaded_choices_.end() && was->second == ours->second;
    if (!is_new && unchanged) ours->second = value;
  }
  std::set<std::string> keys;
  for (const auto& weights : cache.weights) keys.insert(weights.key);
  uint64_t bytes = 0;
  for (const auto& weights : others.weights) {
    if (keys.contains(weights.key)) continue;
    if ((bytes += weights.bytes.size()) <= kMaxUnused) cache.weights.push_back(weights);
  }
}

absl::Status ModelGraph::SaveTo(const fs::path& path, PlanCacheContents cache) const {
  std::error_code error;  // what is wrong, writing will say
  fs::create_directories(path.parent_path(), error);
  const Turn turn(path.parent_path());
  // What others have written since we read it stays, but for what we chose anew.
  const auto there = OpenTrusted(path);
  if (there.ok()) {
    const auto others = ParsePlanCache((*there)->bytes(), path.string());
    if (others.ok() && others->fingerprint == fingerprint_ && others->model == stamp_) {
      AddOthers(*others, cache);
    }
  }
  return WritePlanCache(cache, path);
}

absl::Status ModelGraph::SaveCache() const {
  if (candidates_.empty()) return absl::OkStatus();
  if (!outdated_ && weights_->counts().made == 0 && !choices_->changed()) {
    return absl::OkStatus();
  }
  if (constants_ != nullptr) RETURN_IF_ERROR(constants_->status());
  PlanCacheContents cache{.fingerprint = fingerprint_,
                          .model = stamp_,
                          .graph = serialized_,
                          .contents = contents_,
                          .choices = choices_->entries()};
  uint64_t unused = 0;
  for (const engine::WeightStore::Entry& entry : weights_->Entries()) {
    if (!entry.asked && (unused += entry.bytes.size()) > kMaxUnused) continue;
    cache.weights.push_back({.key = entry.key, .bytes = entry.bytes});
  }
  std::vector<absl::Status> errors;
  for (const fs::path& path : candidates_) {
    const absl::Status status = SaveTo(path, cache);
    if (status.ok()) return status;
    errors.push_back(status);
  }
  return Joined(errors);
}

}  // namespace oriel::model
