#include "cli/image_inputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "base/bytes.h"
#include "base/files.h"
#include "base/utf8.h"
#include "image/decode.h"

namespace oriel::cli {
namespace {

namespace fs = std::filesystem;
using model::ImageInput;

constexpr uint64_t kMaxImageBytes = uint64_t{256} << 20;

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

}  // namespace

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

}  // namespace oriel::cli
