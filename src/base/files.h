// Reading whole files, and writing them so that no reader ever sees half of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace oriel {

// A file mapped read-only. Truncating the file while it is mapped is outside
// the contract (SIGBUS), as for any mapping. Thread-safe.
class MappedFile {
 public:
  // kNotFound, kInvalidArgument (a directory) and so on, with the path.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(
      const std::filesystem::path& path);
  // The same for a file that is open, under the name that messages have; the
  // descriptor may be closed afterwards.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> FromDescriptor(
      int fd, const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // All of it is going to be read: in huge pages where the system can.
  void ExpectReading() const;

  Bytes bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  MappedFile(std::filesystem::path path, const uint8_t* data, size_t size)
      : path_(std::move(path)), data_(data), size_(size) {}
  std::filesystem::path path_;
  const uint8_t* data_;
  size_t size_;
};

// The contents of a file, a pipe or a device. kResourceExhausted when it holds
// more than `max_bytes`; kCancelled when Ctrl-C comes while a pipe says nothing.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                                     uint64_t max_bytes = uint64_t{4} << 30);

// As ReadFile, from an open descriptor (stdin), which stays open; `name` is for
// messages.
absl::StatusOr<std::string> ReadDescriptor(int fd, std::string_view name,
                                           uint64_t max_bytes);

// A file that is read in places, without memory for it. Thread-safe.
class RandomAccessFile {
 public:
  static absl::StatusOr<std::unique_ptr<const RandomAccessFile>> Open(
      const std::filesystem::path& path);
  ~RandomAccessFile();
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  // The bytes from `offset` on. kDataLoss where the file ends before.
  absl::Status Read(uint64_t offset, std::span<uint8_t> dst) const;

 private:
  RandomAccessFile(std::filesystem::path path, int fd)
      : path_(std::move(path)), fd_(fd) {}
  std::filesystem::path path_;
  int fd_;
};

// Removes what killed processes left of earlier attempts to write the file `target`
// atomically: temporary siblings, a minute old and more, that nobody is writing.
void RemoveAbandonedTemporaries(const std::filesystem::path& target);

// A file that appears under its name whole or not at all: bytes go to a
// temporary sibling, Commit syncs it and renames it over the target. Destroyed
// without Commit it leaves nothing behind. A symbolic link stays, what it leads to is
// replaced; a device or a pipe (/dev/null) is written to as it is. One thread at a time.
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Create(const std::filesystem::path& target);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Append(std::string_view bytes);
  // The descriptor, for libraries that write through one.
  int fd() const { return fd_; }
  absl::Status Commit();

 private:
  AtomicFile(std::filesystem::path target, std::filesystem::path temporary, int fd)
      : target_(std::move(target)), temporary_(std::move(temporary)), fd_(fd) {}
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int fd_;
};

absl::Status WriteFileAtomically(const std::filesystem::path& target,
                                 std::string_view contents);

// A directory that appears under its name whole or not at all. Files are put
// into path(); Commit syncs them all and renames the directory to the target,
// replacing a directory that is there. Destroyed without Commit it is removed
// with all it holds. Temporary siblings that an earlier, killed process left
// behind are removed by Create. One thread at a time.
class AtomicDirectory {
 public:
  static absl::StatusOr<AtomicDirectory> Create(const std::filesystem::path& target);
  AtomicDirectory(AtomicDirectory&& other) noexcept;
  AtomicDirectory& operator=(AtomicDirectory&&) = delete;
  ~AtomicDirectory();

  const std::filesystem::path& path() const { return temporary_; }
  absl::Status Commit();

 private:
  AtomicDirectory(std::filesystem::path target, std::filesystem::path temporary,
                  int lock_fd)
      : target_(std::move(target)), temporary_(std::move(temporary)), lock_fd_(lock_fd) {}
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int lock_fd_;  // holds a lock for as long as the temporary is in use
};

}  // namespace oriel
