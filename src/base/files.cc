#include "base/files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/interrupt.h"

namespace oriel {
namespace fs = std::filesystem;
namespace {

// Closes on destruction.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

constexpr std::string_view kTemporaryMark = ".tmp-";

// A name beside `target` that no other process or thread uses.
fs::path TemporarySibling(const fs::path& target) {
  static std::atomic<int> counter{0};
  return target.parent_path() / fmt::format(".{}{}{}-{}", target.filename().string(),
                                            kTemporaryMark, ::getpid(), counter++);
}

// The target without a trailing slash, so that it has a parent and a name.
fs::path Normalized(const fs::path& target) {
  fs::path normal = fs::absolute(target).lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

// What symbolic links lead to, there or not.
fs::path FollowLinks(fs::path path) {
  constexpr int kMaxLinks = 40;  // Linux's own limit
  std::error_code error;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(path, error); ++i) {
    const fs::path to = fs::read_symlink(path, error);
    if (error) break;
    path = (path.parent_path() / to).lexically_normal();
  }
  return path;
}

// A device, a pipe or a socket: it is written to, nothing can take its place.
bool IsSpecial(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && fs::is_other(status);
}

absl::Status SyncPath(const fs::path& path, int flags) {
  Descriptor fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(errno, path.string());
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, path.string());
  return absl::OkStatus();
}

absl::Status SyncDirectory(const fs::path& path) {
  return SyncPath(path, O_RDONLY | O_DIRECTORY);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const fs::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(errno, path.string());
  return FromDescriptor(fd.get(), path);
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::FromDescriptor(
    int fd, const fs::path& path) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoError(errno, path.string());
  if (S_ISDIR(info.st_mode)) {
    return InvalidArgument("{}: is a directory, want a file", path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("{}: is not a regular file", path.string());
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return ErrnoError(errno, path.string());
  }
  return std::shared_ptr<const MappedFile>(
      new MappedFile(path, static_cast<const uint8_t*>(data), size));
}

void MappedFile::ExpectReading() const {
  // Wishes: the file reads the same without.
  if (size_ > 0) ::madvise(const_cast<uint8_t*>(data_), size_, MADV_HUGEPAGE);
  if (size_ > 0) ::madvise(const_cast<uint8_t*>(data_), size_, MADV_WILLNEED);
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(const_cast<uint8_t*>(data_), size_);
}

namespace {

// Pipes and terminals may say nothing for long: Ctrl-C is looked for meanwhile.
absl::Status AwaitReadable(int fd, std::string_view name) {
  constexpr int kPollMilliseconds = 100;
  while (true) {
    RETURN_IF_ERROR(CheckInterrupted());
    pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, kPollMilliseconds);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, name);
  }
}

}  // namespace

absl::StatusOr<std::string> ReadDescriptor(int fd, std::string_view name,
                                           uint64_t max_bytes) {
  std::string contents;
  struct stat info;
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular) {
    if (static_cast<uint64_t>(info.st_size) > max_bytes) {
      return ResourceExhausted("{}: has {} bytes, the limit is {}", name, info.st_size,
                               max_bytes);
    }
    contents.reserve(static_cast<size_t>(info.st_size) + 1);
  }
  std::vector<char> buffer(1 << 18);
  while (true) {
    if (!regular) RETURN_IF_ERROR(AwaitReadable(fd, name));
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return ErrnoError(errno, name);
    if (got == 0) return contents;
    if (static_cast<uint64_t>(got) > max_bytes - contents.size()) {
      return ResourceExhausted("{}: has more than the limit of {} bytes", name,
                               max_bytes);
    }
    contents.append(buffer.data(), static_cast<size_t>(got));
  }
}

absl::StatusOr<std::string> ReadFile(const fs::path& path, uint64_t max_bytes) {
  // A pipe opens before anyone writes to it, so that the wait is ours.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return ErrnoError(errno, path.string());
  return ReadDescriptor(fd.get(), path.string(), max_bytes);
}

absl::StatusOr<std::unique_ptr<const RandomAccessFile>> RandomAccessFile::Open(
    const fs::path& path) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(errno, path.string());
  return std::unique_ptr<const RandomAccessFile>(
      new RandomAccessFile(path, fd.release()));
}

RandomAccessFile::~RandomAccessFile() { ::close(fd_); }

absl::Status RandomAccessFile::Read(uint64_t offset, std::span<uint8_t> dst) const {
  while (!dst.empty()) {
    const ssize_t got = ::pread(fd_, dst.data(), dst.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, path_.string());
    if (got == 0) {
      return DataLoss("{}: ends at byte {}, {} more are wanted", path_.string(), offset,
                      dst.size());
    }
    offset += static_cast<uint64_t>(got);
    dst = dst.subspan(static_cast<size_t>(got));
  }
  return absl::OkStatus();
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const fs::path& target) {
  fs::path normal = Normalized(target);
  std::error_code error;
  if (fs::is_directory(normal, error)) {
    return InvalidArgument("{}: is a directory, want a file", normal.string());
  }
  if (IsSpecial(normal)) {
    const int fd = ::open(normal.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoError(errno, normal.string());
    return AtomicFile(normal, {}, fd);
  }
  normal = FollowLinks(std::move(normal));
  const fs::path temporary = TemporarySibling(normal);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoError(errno, normal.string());
  ::flock(fd, LOCK_EX | LOCK_NB);  // what is locked is not abandoned
  return AtomicFile(normal, temporary, fd);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status AtomicFile::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return ErrnoError(errno, target_.string());
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  const bool in_place = temporary_.empty();
  if (!in_place && ::fsync(fd_) != 0) return ErrnoError(errno, target_.string());
  if (::close(std::exchange(fd_, -1)) != 0) return ErrnoError(errno, target_.string());
  if (in_place) return absl::OkStatus();
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return ErrnoError(errno, target_.string());
  }
  temporary_.clear();
  return SyncDirectory(target_.parent_path());
}

absl::Status WriteFileAtomically(const fs::path& target, std::string_view contents) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(target));
  RETURN_IF_ERROR(file.Append(contents));
  return file.Commit();
}

namespace {

// Calls `remove` for the temporary siblings of `target` whose lock nobody holds, while it
// holds it. `flags`: what they are opened with.
template <typename Remove>
void ForAbandonedSiblings(const fs::path& target, int flags, const Remove& remove) {
  const std::string prefix =
      fmt::format(".{}{}", target.filename().string(), kTemporaryMark);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(target.parent_path(), error)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    Descriptor fd(::open(entry.path().c_str(),
                         O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags));
    if (fd.get() < 0 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    remove(entry.path(), fd.get());
  }
}

}  // namespace

void RemoveAbandonedTemporaries(const fs::path& target) {
  ForAbandonedSiblings(Normalized(target), 0, [](const fs::path& path, int fd) {
    struct stat info;
    // One that was made just now may not be locked yet.
    constexpr time_t kSeconds = 60;
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) ||
        info.st_mtim.tv_sec > ::time(nullptr) - kSeconds) {
      return;
    }
    ::unlink(path.c_str());
  });
}

absl::StatusOr<AtomicDirectory> AtomicDirectory::Create(const fs::path& target) {
  const fs::path normal = Normalized(target);
  std::error_code error;
  fs::create_directories(normal.parent_path(), error);
  if (error) return ErrnoError(error.value(), normal.parent_path().string());
  ForAbandonedSiblings(normal, O_DIRECTORY, [](const fs::path& path, int) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  });
  const fs::path temporary = TemporarySibling(normal);
  if (::mkdir(temporary.c_str(), 0755) != 0) {
    return ErrnoError(errno, normal.string());
  }
  Descriptor lock(::open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0 || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const int cause = errno;
    fs::remove_all(temporary, error);
    return ErrnoError(cause, temporary.string());
  }
  return AtomicDirectory(normal, temporary, lock.release());
}

AtomicDirectory::AtomicDirectory(AtomicDirectory&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      lock_fd_(std::exchange(other.lock_fd_, -1)) {}

AtomicDirectory::~AtomicDirectory() {
  std::error_code error;
  if (!temporary_.empty()) fs::remove_all(temporary_, error);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

absl::Status AtomicDirectory::Commit() {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(temporary_, error);
       it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (error) return ErrnoError(error.value(), temporary_.string());
    RETURN_IF_ERROR(it->is_directory() ? SyncDirectory(it->path())
                                       : SyncPath(it->path(), O_RDONLY));
  }
  RETURN_IF_ERROR(SyncDirectory(temporary_));
  if (fs::exists(target_, error)) {
    // One step swaps old and new, so that the target is never missing; the old
    // directory then lies under the temporary name and is removed.
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(),
                    RENAME_EXCHANGE) != 0) {
      return ErrnoError(errno, target_.string());
    }
    fs::remove_all(temporary_, error);
  } else if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    return ErrnoError(errno, target_.string());
  }
  temporary_.clear();
  return SyncDirectory(target_.parent_path());
}

}  // namespace oriel
