#include "model/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace oriel::model {

namespace fs = std::filesystem;

absl::StatusOr<PartFile> PartFile::Open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return ErrnoError(errno, path.string());
  PartFile file(path, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return FailedPrecondition("{}: another process is downloading it", path.string());
  }
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoError(errno, path.string());
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("{}: is not a regular file", path.string());
  }
  // Between open and lock another process may have finished with this file.
  struct stat named;
  if (::stat(path.c_str(), &named) != 0 || named.st_ino != info.st_ino) {
    return Aborted("{}: another process has just downloaded it", path.string());
  }
  file.size_ = static_cast<uint64_t>(info.st_size);
  return file;
}

PartFile::PartFile(fs::path path, int fd) : path_(std::move(path)), fd_(fd) {}

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_) {}

PartFile::~PartFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::Status PartFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote =
        ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoError(errno, path_.string());
    bytes.remove_prefix(static_cast<size_t>(wrote));
    size_ += static_cast<uint64_t>(wrote);
  }
  return absl::OkStatus();
}

absl::Status PartFile::Clear() {
  if (::ftruncate(fd_, 0) != 0) return ErrnoError(errno, path_.string());
  size_ = 0;
  return absl::OkStatus();
}

absl::Status PartFile::MoveTo(const fs::path& target) {
  if (::fsync(fd_) != 0 || ::rename(path_.c_str(), target.c_str()) != 0) {
    return ErrnoError(errno, target.string());
  }
  return absl::OkStatus();
}

}  // namespace oriel::model
