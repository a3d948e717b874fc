// The file beside a download's target in which its bytes gather.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/status.h"

namespace oriel::model {

// Holds a lock (flock) as long as it lives, so that two processes never write one
// part. One thread at a time.
class PartFile {
 public:
  // Opens or makes the file; what is in it already counts. kFailedPrecondition when
  // another process holds it, kAborted when that one has just finished with it.
  static absl::StatusOr<PartFile> Open(const std::filesystem::path& path);
  PartFile(PartFile&& other) noexcept;
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile();

  uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

  absl::Status Append(std::string_view bytes);
  absl::Status Clear();
  // Syncs it and renames it to `target`, which it replaces.
  absl::Status MoveTo(const std::filesystem::path& target);

 private:
  PartFile(std::filesystem::path path, int fd);
  std::filesystem::path path_;
  int fd_;
  uint64_t size_ = 0;
};

}  // namespace oriel::model
