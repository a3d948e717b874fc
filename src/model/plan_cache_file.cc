#include "model/plan_cache_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/crc32c.h"
#include "base/files.h"

namespace oriel::model {
namespace {

constexpr std::string_view kMagic = "OrielPC\n";
constexpr uint32_t kFormatVersion = 1;
// Magic, version, checksum and size of the head that follows.
constexpr size_t kPreambleSize = 24;
constexpr uint64_t kAlignment = 64;
// Where the weights begin, and the size of the pieces they are written in: file systems
// keep what is written at once together in memory, and so map it in huge pages.
constexpr uint64_t kPageSize = 4096;
constexpr size_t kPiece = size_t{2} << 20;

// Appends to a file in pieces of kPiece.
class PieceWriter {
 public:
  explicit PieceWriter(AtomicFile& file) : file_(file) { piece_.reserve(kPiece); }

  absl::Status Append(std::string_view bytes) {
    size_ += bytes.size();
    while (!bytes.empty()) {
      const size_t taken = std::min(bytes.size(), kPiece - piece_.size());
      piece_ += bytes.substr(0, taken);
      bytes.remove_prefix(taken);
      if (piece_.size() == kPiece) RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status PadTo(uint64_t size) {
    return Append(std::string(static_cast<size_t>(size - size_), '\0'));
  }

  absl::Status Flush() {
    RETURN_IF_ERROR(file_.Append(piece_));
    piece_.clear();
    return absl::OkStatus();
  }

 private:
  AtomicFile& file_;
  std::string piece_;
  uint64_t size_ = 0;
};

template <typename T>
void AppendNumber(T value, std::string& to) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void AppendText(std::string_view text, std::string& to) {
  AppendNumber<uint64_t>(text.size(), to);
  to += text;
}

struct Place {
  uint64_t offset = 0;
  uint32_t crc = 0;
};

// What stands between the preamble and the weights. Its size does not depend on the
// values of file_size and places.
std::string FormatHead(const PlanCacheContents& contents, uint64_t file_size,
                       std::span<const Place> places) {
  std::string head;
  AppendNumber<uint64_t>(file_size, head);
  AppendText(contents.fingerprint, head);
  AppendNumber<uint64_t>(contents.model.size, head);
  AppendNumber<int64_t>(contents.model.modified_ns, head);
  AppendText(contents.graph, head);
  AppendNumber<uint64_t>(contents.contents.size(), head);
  for (const graph::ContentPlace& place : contents.contents) {
    AppendText(place.node, head);
    AppendNumber<uint64_t>(place.offset, head);
    AppendNumber<uint64_t>(place.size, head);
  }
  AppendNumber<uint64_t>(contents.choices.size(), head);
  for (const auto& [key, value] : contents.choices) {
    AppendText(key, head);
    AppendText(value, head);
  }
  AppendNumber<uint64_t>(contents.weights.size(), head);
  for (size_t i = 0; i < contents.weights.size(); ++i) {
    AppendText(contents.weights[i].key, head);
    AppendNumber<uint64_t>(places[i].offset, head);
    AppendNumber<uint64_t>(contents.weights[i].bytes.size(), head);
    AppendNumber<uint32_t>(places[i].crc, head);
  }
  return head;
}

absl::StatusOr<std::string_view> ReadText(ByteReader& reader) {
  ASSIGN_OR_RETURN(const uint64_t size, reader.Read<uint64_t>());
  ASSIGN_OR_RETURN(const Bytes bytes, reader.Take(size));
  return AsStringView(bytes);
}

absl::StatusOr<PlanCacheContents> ParseHead(Bytes file, ByteReader& reader,
                                            std::string_view what) {
  PlanCacheContents contents;
  ASSIGN_OR_RETURN(const uint64_t size, reader.Read<uint64_t>());
  if (size != file.size()) {
    return DataLoss("{}: has {} bytes, was written with {}", what, file.size(), size);
  }
  ASSIGN_OR_RETURN(contents.fingerprint, ReadText(reader));
  ASSIGN_OR_RETURN(contents.model.size, reader.Read<uint64_t>());
  ASSIGN_OR_RETURN(contents.model.modified_ns, reader.Read<int64_t>());
  ASSIGN_OR_RETURN(contents.graph, ReadText(reader));
  ASSIGN_OR_RETURN(const uint64_t constants, reader.Read<uint64_t>());
  for (uint64_t i = 0; i < constants; ++i) {
    graph::ContentPlace place;
    ASSIGN_OR_RETURN(place.node, ReadText(reader));
    ASSIGN_OR_RETURN(place.offset, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(place.size, reader.Read<uint64_t>());
    if (place.offset > contents.model.size ||
        place.size > contents.model.size - place.offset) {
      return DataLoss("{}: constant '{}' lies at byte {} of a model of {}", what,
                      place.node, place.offset, contents.model.size);
    }
    contents.contents.push_back(std::move(place));
  }
  ASSIGN_OR_RETURN(const uint64_t choices, reader.Read<uint64_t>());
  for (uint64_t i = 0; i < choices; ++i) {
    ASSIGN_OR_RETURN(const std::string_view key, ReadText(reader));
    ASSIGN_OR_RETURN(const std::string_view value, ReadText(reader));
    contents.choices.emplace(key, value);
  }
  ASSIGN_OR_RETURN(const uint64_t weights, reader.Read<uint64_t>());
  for (uint64_t i = 0; i < weights; ++i) {
    PlanCacheContents::Weights entry;
    ASSIGN_OR_RETURN(entry.key, ReadText(reader));
    ASSIGN_OR_RETURN(const uint64_t offset, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(const uint64_t bytes, reader.Read<uint64_t>());
    ASSIGN_OR_RETURN(entry.crc, reader.Read<uint32_t>());
    if (offset % kAlignment != 0) {
      return DataLoss("{}: weights '{}' lie at byte {}, want a multiple of {}", what,
                      entry.key, offset, kAlignment);
    }
    ASSIGN_OR_RETURN(entry.bytes, Sub(file, offset, bytes, what));
    contents.weights.push_back(std::move(entry));
  }
  return contents;
}

}  // namespace

absl::StatusOr<FileStamp> StampOf(const std::filesystem::path& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoError(errno, path.string());
  return FileStamp{
      .size = static_cast<uint64_t>(info.st_size),
      .modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

absl::StatusOr<PlanCacheContents> ParsePlanCache(Bytes file, std::string_view what) {
  ByteReader preamble(file, what);
  ASSIGN_OR_RETURN(const Bytes magic, preamble.Take(kMagic.size()));
  if (AsStringView(magic) != kMagic) return DataLoss("{}: is no plan cache", what);
  ASSIGN_OR_RETURN(const uint32_t version, preamble.Read<uint32_t>());
  if (version != kFormatVersion) {
    return DataLoss("{}: has format version {}, this program reads {}", what, version,
                    kFormatVersion);
  }
  ASSIGN_OR_RETURN(const uint32_t crc, preamble.Read<uint32_t>());
  ASSIGN_OR_RETURN(const uint64_t head_size, preamble.Read<uint64_t>());
  ASSIGN_OR_RETURN(const Bytes head, preamble.Take(head_size));
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION  // no fuzzer guesses a checksum
  if (const uint32_t found = Crc32c(head); found != crc) {
    return DataLoss("{}: the head has the checksum {:08x}, want {:08x}", what, found,
                    crc);
  }
#else
  (void)crc;
#endif
  ByteReader reader(head, what);
  ASSIGN_OR_RETURN(PlanCacheContents contents, ParseHead(file, reader, what));
  if (!reader.done()) {
    return DataLoss("{}: {} bytes are left over in the head", what, reader.remaining());
  }
  return contents;
}

absl::Status CheckWeights(const PlanCacheContents& contents, std::string_view what) {
  for (const PlanCacheContents::Weights& weights : contents.weights) {
    if (const uint32_t found = Crc32c(weights.bytes); found != weights.crc) {
      return DataLoss("{}: weights '{}' have the checksum {:08x}, want {:08x}", what,
                      weights.key, found, weights.crc);
    }
  }
  return absl::OkStatus();
}

absl::Status WritePlanCache(const PlanCacheContents& contents,
                            const std::filesystem::path& path) {
  std::vector<Place> places(contents.weights.size());
  const uint64_t head_size = FormatHead(contents, 0, places).size();
  uint64_t end = RoundUp(kPreambleSize + head_size, kPageSize);
  for (size_t i = 0; i < places.size(); ++i) {
    const Bytes bytes = contents.weights[i].bytes;
    places[i] = {.offset = RoundUp(end, kAlignment), .crc = Crc32c(bytes)};
    end = places[i].offset + bytes.size();
  }
  const std::string head = FormatHead(contents, end, places);
  std::string preamble(kMagic);
  AppendNumber<uint32_t>(kFormatVersion, preamble);
  AppendNumber<uint32_t>(Crc32c(AsBytes(head)), preamble);
  AppendNumber<uint64_t>(head_size, preamble);

  RemoveAbandonedTemporaries(path);
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  if (::fchmod(file.fd(), 0644) != 0) return ErrnoError(errno, path.string());
  PieceWriter writer(file);
  RETURN_IF_ERROR(writer.Append(preamble));
  RETURN_IF_ERROR(writer.Append(head));
  for (size_t i = 0; i < places.size(); ++i) {
    RETURN_IF_ERROR(writer.PadTo(places[i].offset));
    RETURN_IF_ERROR(writer.Append(AsStringView(contents.weights[i].bytes)));
  }
  RETURN_IF_ERROR(writer.PadTo(end));
  RETURN_IF_ERROR(writer.Flush());
  return file.Commit();
}

}  // namespace oriel::model
