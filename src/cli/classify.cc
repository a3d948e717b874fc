// `oriel classify`: images in, labels out.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <set>

#include "base/bytes.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/score_table.h"
#include "image/decode.h"
#include "model/classify_images.h"
#include "model/model_directory.h"
#include "model/session.h"

namespace oriel::cli {
namespace {

namespace fs = std::filesystem;
using model::ImageInput;
using model::ImageResult;

constexpr uint64_t kMaxImageBytes = uint64_t{256} << 20;

struct Flags {
  std::vector<std::string> images;
  std::string model;
  std::string model_dir = "models";
  int top_k = 5;
  bool json = false;
  int batch = 8;
  bool no_exif = false;
  int threads = 0;
  engine::Backend backend = engine::Backend::kOneDnn;
};

// Whether a file of a folder is meant: it begins as an image does, or is called one,
// or cannot be looked at, which is then told.
bool IsMeant(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".jpg", ".jpeg", ".png",
                                                    ".gif", ".bmp",  ".webp"};
  if (kExtensions.contains(ToLower(path.extension().string()))) return true;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return true;
  std::array<uint8_t, 64> head;
  const ssize_t got = ::read(fd, head.data(), head.size());
  ::close(fd);
  return got > 0 && image::SniffFormat({head.data(), static_cast<size_t>(got)}) !=
                        image::Format::kUnknown;
}

ImageInput FileInput(const fs::path& path) {
  return {path.string(), [path] { return ReadFile(path, kMaxImageBytes); }};
}

// Takes the place of what cannot be listed.
ImageInput FailedInput(const fs::path& path, absl::Status status) {
  return {path.string(), [status] { return status; }};
}

// The images under a folder, in the order of their paths.
std::vector<ImageInput> FolderInputs(const fs::path& folder) {
  std::vector<ImageInput> inputs;
  std::error_code error;
  auto it = fs::recursive_directory_iterator(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    const fs::path& path = it->path();
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
      if (::access(path.c_str(), R_OK | X_OK) == 0) continue;
      inputs.push_back(FailedInput(path, ErrnoError(errno, path.string())));
      it.disable_recursion_pending();
    } else if (it->is_regular_file(ignored) && IsMeant(path)) {
      inputs.push_back(FileInput(path));
    }
  }
  if (error) {
    inputs.push_back(FailedInput(folder, ErrnoError(error.value(), folder.string())));
  }
  if (inputs.empty()) {
    inputs.push_back(FailedInput(folder, NotFound("no images in this folder")));
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return inputs;
}

std::vector<ImageInput> CollectInputs(const std::vector<std::string>& names) {
  std::vector<ImageInput> inputs;
  for (const std::string& name : names) {
    std::error_code error;
    if (name == "-") {
      inputs.push_back(
          {"-", [] { return ReadDescriptor(STDIN_FILENO, "stdin", kMaxImageBytes); }});
    } else if (fs::is_directory(name, error)) {
      for (ImageInput& input : FolderInputs(name)) inputs.push_back(std::move(input));
    } else {
      inputs.push_back(FileInput(name));
    }
  }
  return inputs;
}

// The message without the name of the image before it: that is printed already.
std::string Reason(const absl::Status& status, const std::string& name) {
  std::string_view text = Message(status);
  if (text.starts_with(name + ": ")) text.remove_prefix(name.size() + 2);
  return Printable(text);
}

// One line: {"file": ..., "top": [...]} or {"file": ..., "error": ...}.
std::string FormatJson(const std::string& name, const ImageResult& result) {
  const auto quoted = [](std::string_view text) {
    return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
  };
  // JSON can say all but bytes that are no text.
  const std::string text = FindInvalidUtf8(name) ? Printable(name) : name;
  std::string line = fmt::format("{{\"file\":{}", quoted(text));
  if (!result.status.ok()) {
    return line + fmt::format(",\"error\":{}}}", quoted(Reason(result.status, name)));
  }
  line += ",\"top\":[";
  for (size_t i = 0; i < result.top.size(); ++i) {
    const model::ScoredLabel& label = result.top[i];
    // Floats as short as they can be read back, which Boost's doubles are not.
    line += fmt::format("{}{{\"index\":{},\"wnid\":{},\"label\":{},\"probability\":{}}}",
                        i == 0 ? "" : ",", label.index, quoted(label.wnid),
                        quoted(label.label), label.probability);
  }
  return line + "]}";
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto directory,
                   flags.model.empty() ? model::FindDefaultModel(flags.model_dir)
                                       : model::FindModel(flags.model, flags.model_dir));
  const std::vector<ImageInput> inputs = CollectInputs(flags.images);

  model::SessionOptions options;
  options.backend = flags.backend;
  options.threads = flags.threads;
  options.max_batch =
      static_cast<int>(std::min<size_t>(flags.batch, std::max<size_t>(inputs.size(), 1)));
  ASSIGN_OR_RETURN(const auto session, model::Session::Open(directory.path, options));

  const ScoreTableOptions table = StdoutTableOptions();
  // Results on a terminal are progress enough, and the two would mix.
  Progress progress("classifying", ProgressUnit::kItems, inputs.size(),
                    inputs.size() < 2 || table.columns > 0);
  size_t failed = 0;
  const auto on_result = [&](const ImageResult& result) {
    const std::string& name = inputs[result.index].name;
    if (!result.status.ok()) ++failed;
    if (flags.json) {
      fmt::print("{}\n", FormatJson(name, result));
    } else if (result.status.ok()) {
      fmt::print("{}\n{}", Printable(name), FormatScoreTable(result.top, table));
    } else {
      std::fflush(stdout);
      fmt::print(stderr, "{}: {}\n", Printable(name), Reason(result.status, name));
    }
    std::fflush(stdout);
    progress.Update(result.index + 1);
  };
  model::ClassifyImagesOptions classify;
  classify.top_k = flags.top_k;
  classify.honor_exif = !flags.no_exif;
  classify.decode_threads = flags.threads;
  RETURN_IF_ERROR(model::ClassifyImages(*session, inputs, classify, on_result));
  progress.Finish();
  if (failed > 0 && inputs.size() > 1) {
    fmt::print(stderr, "{} of {} images could not be classified\n", failed,
               inputs.size());
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

Action SetupClassify(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command
      .add_option("images", flags->images,
                  "Image files, folders of them (with all below), '-' for "
                  "stdin")
      ->required();
  command.add_option("--model", flags->model,
                     "Name of an exported model, or the path of its directory; without "
                     "it: inception_resnet_v2 if exported, else efficientnet_lite2");
  command.add_option("--model-dir", flags->model_dir, "Where models are exported to")
      ->capture_default_str();
  command.add_option("--top-k", flags->top_k, "Labels to show of each image")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_flag("--json", flags->json, "A line of JSON for each image");
  command
      .add_option("--batch", flags->batch, "Images that run through the network at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command.add_flag("--no-exif", flags->no_exif,
                   "Do not turn photos as their EXIF orientation says; TensorFlow does "
                   "not");
  AddThreadsOption(command, flags->threads);
  AddBackendOption(command, flags->backend);
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
