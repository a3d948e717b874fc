// TFRecord files: one record after the other, each framed as
//   length  uint64, little-endian
//   masked CRC32C of those 8 bytes
//   data    `length` bytes
//   masked CRC32C of data
// (TensorFlow's lib/io/record_writer.h). Not compressed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace oriel::records {

// Bytes around the data of a record, before and after.
inline constexpr size_t kTfRecordHeader = 12;
inline constexpr size_t kTfRecordFooter = 4;

// The record, framed.
std::string FrameTfRecord(std::string_view data);

// Reads the records of a file that is in memory, or mapped. Allocates nothing for them.
// One thread at a time.
class TfRecordReader {
 public:
  // Borrows `bytes`; `what` (a file's name) is for messages.
  TfRecordReader(Bytes bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  // The next record, which views the file's bytes; nullopt at the end. kDataLoss that
  // names the file, the record and its offset where the file is cut off or a checksum
  // does not match; the reader stays there.
  absl::StatusOr<std::optional<Bytes>> Next();

  // Records that Next returned.
  size_t count() const { return count_; }

 private:
  Bytes bytes_;
  std::string what_;
  size_t offset_ = 0;
  size_t count_ = 0;
};

// The name of one of several files that are one data set: "train-00000-of-00008".
std::string ShardName(std::string_view base, int shard, int shards);

}  // namespace oriel::records
