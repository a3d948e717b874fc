#include "model/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/interrupt.h"
#include "base/utf8.h"
#include "model/archive_library.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReadBlockBytes = 256 << 10;
constexpr size_t kMaxPathBytes = 1024;

struct ArchiveFree {
  void operator()(archive* reader) const { Archive().read_free(reader); }
};
using Reader = std::unique_ptr<archive, ArchiveFree>;

class OutputFile {
 public:
  // Never through a link, never over another file.
  static absl::StatusOr<OutputFile> Create(const fs::path& path) {
    const int fd =
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) return ErrnoError(errno, path.string());
    return OutputFile(path, fd);
  }
  OutputFile(OutputFile&& other) noexcept
      : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
  }

  absl::Status WriteAt(std::string_view bytes, int64_t offset) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::pwrite(fd_, bytes.data(), bytes.size(), offset);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return ErrnoError(errno, path_.string());
      bytes.remove_prefix(static_cast<size_t>(wrote));
      offset += wrote;
    }
    return absl::OkStatus();
  }

  absl::Status Close(int64_t size) {
    // A hole at the end has no block of its own.
    if (::ftruncate(fd_, size) != 0) return ErrnoError(errno, path_.string());
    if (::close(std::exchange(fd_, -1)) != 0) return ErrnoError(errno, path_.string());
    return absl::OkStatus();
  }

 private:
  OutputFile(fs::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  fs::path path_;
  int fd_;
};

// The member's path, relative and inside, or what is wrong with it.
absl::StatusOr<fs::path> SafePath(std::string_view name) {
  if (name.empty()) return DataLoss("a member has no name");
  const std::string shown = Printable(name.substr(0, 200));
  if (name.size() > kMaxPathBytes) {
    return PermissionDenied("member '{}...': path of {} bytes, the limit is {}", shown,
                            name.size(), kMaxPathBytes);
  }
  if (FindInvalidUtf8(name) || HasControlCharacters(name) ||
      name.find('\\') != std::string_view::npos) {
    return PermissionDenied("member '{}': unprintable path", shown);
  }
  if (name.front() == '/') return PermissionDenied("member '{}': absolute path", shown);
  fs::path path;
  for (const fs::path& part : fs::path(name)) {
    if (part == "..") return PermissionDenied("member '{}': path with '..'", shown);
    if (part != "." && !part.empty()) path /= part;
  }
  return path;
}

std::string_view ErrorText(archive* reader) {
  const char* text = Archive().error_string(reader);
  return text == nullptr ? "unknown error" : text;
}

class Unpacker {
 public:
  Unpacker(archive* reader, const fs::path& directory, const UnpackOptions& options)
      : reader_(reader), directory_(directory), options_(options) {}

  absl::StatusOr<std::vector<fs::path>> Run() {
    for (int entries = 0;; ++entries) {
      RETURN_IF_ERROR(CheckInterrupted());
      archive_entry* entry = nullptr;
      const int result = Archive().read_next_header(reader_, &entry);
      if (result == ARCHIVE_EOF) return files_;
      if (result != ARCHIVE_OK) {
        // Nothing was recognized, as against something damaged.
        if (entries == 0)
          return InvalidArgument("not an archive: {}", ErrorText(reader_));
        return DataLoss("after {} members: {}", entries, ErrorText(reader_));
      }
      if (entries >= options_.max_entries) {
        return ResourceExhausted("more than {} members", options_.max_entries);
      }
      RETURN_IF_ERROR(Member(entry));
    }
  }

 private:
  absl::Status Member(archive_entry* entry) {
    const char* utf8 = Archive().entry_pathname_utf8(entry);
    const char* raw = utf8 != nullptr ? utf8 : Archive().entry_pathname(entry);
    const std::string name = raw == nullptr ? "" : raw;
    ASSIGN_OR_RETURN(const fs::path relative, SafePath(name));
    const auto refuse = [&](std::string_view what) {
      return PermissionDenied("member '{}': {}, only files and folders are unpacked",
                              Printable(name), what);
    };
    if (Archive().entry_hardlink(entry) != nullptr) return refuse("a hard link");
    switch (Archive().entry_filetype(entry)) {
      case AE_IFREG:
        break;
      case AE_IFDIR:
        return MakeFolder(directory_ / relative);
      case AE_IFLNK:
        return refuse("a symbolic link");
      default:
        return refuse("neither file nor folder");
    }
    if (Archive().entry_is_encrypted(entry) != 0) return refuse("encrypted");
    if (Archive().entry_size_is_set(entry) != 0) {
      RETURN_IF_ERROR(CheckSize(Archive().entry_size(entry), name));
    }
    if (relative.empty()) return refuse("a file without a name");
    RETURN_IF_ERROR(MakeFolder((directory_ / relative).parent_path()));
    RETURN_IF_ERROR(Contents(directory_ / relative, name));
    files_.push_back(directory_ / relative);
    return absl::OkStatus();
  }

  absl::Status MakeFolder(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    return error ? ErrnoError(error.value(), path.string()) : absl::OkStatus();
  }

  // `size` of the file in work, on top of those before it. Counts holes too: a
  // sparse file may claim any size.
  absl::Status CheckSize(int64_t size, std::string_view name) const {
    if (size < 0 || static_cast<uint64_t>(size) > options_.max_total_bytes - total_) {
      return ResourceExhausted("member '{}': unpacks to more than the limit of {} bytes",
                               Printable(name), options_.max_total_bytes);
    }
    return absl::OkStatus();
  }

  absl::Status Contents(const fs::path& path, const std::string& name) {
    ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path));
    int64_t end = 0;
    while (true) {
      RETURN_IF_ERROR(CheckInterrupted());
      const void* data = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int result = Archive().read_data_block(reader_, &data, &size, &offset);
      if (result != ARCHIVE_OK && result != ARCHIVE_EOF) {
        return DataLoss("member '{}': {}", Printable(name), ErrorText(reader_));
      }
      // The last call tells where a hole at the end ends.
      if (offset < 0 || size > INT64_MAX - offset) {
        return DataLoss("member '{}': impossible offset", Printable(name));
      }
      end = std::max<int64_t>(end, offset + static_cast<int64_t>(size));
      RETURN_IF_ERROR(CheckSize(end, name));
      if (result == ARCHIVE_EOF) break;
      RETURN_IF_ERROR(file.WriteAt({static_cast<const char*>(data), size}, offset));
    }
    total_ += static_cast<uint64_t>(end);
    return file.Close(end);
  }

  archive* const reader_;
  const fs::path& directory_;
  const UnpackOptions& options_;
  uint64_t total_ = 0;
  std::vector<fs::path> files_;
};

}  // namespace

absl::StatusOr<std::vector<fs::path>> Unpack(const fs::path& archive,
                                             const fs::path& directory,
                                             const UnpackOptions& options) {
  RETURN_IF_ERROR(LoadArchiveLibrary());
  const Reader reader(Archive().read_new());
  if (reader == nullptr) return ResourceExhausted("out of memory");
  Archive().read_support_filter_gzip(reader.get());
  Archive().read_support_filter_bzip2(reader.get());
  Archive().read_support_filter_xz(reader.get());
  Archive().read_support_filter_zstd(reader.get());
  Archive().read_support_format_tar(reader.get());
  Archive().read_support_format_zip(reader.get());
  if (Archive().read_open_filename(reader.get(), archive.c_str(), kReadBlockBytes) !=
      ARCHIVE_OK) {
    const int cause = Archive().error_number(reader.get());
    if (cause == ENOENT || cause == EACCES) return ErrnoError(cause, archive.string());
    return InvalidArgument("{}: not an archive: {}", archive.string(),
                           ErrorText(reader.get()));
  }
  auto files = Unpacker(reader.get(), directory, options).Run();
  if (!files.ok()) return Annotate(files.status(), archive.string());
  return files;
}

}  // namespace oriel::model
