// Writer of leveldb-format tables (see sstable.h), byte for byte as TensorFlow's own
// table builder writes those of its checkpoints: blocks of 256 KiB, not compressed, a
// restart point at every 16th key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/status.h"

namespace oriel::checkpoint {

// One thread at a time. Holds no more than a block and the index in memory.
class TableBuilder {
 public:
  // `file` is borrowed, and empty.
  explicit TableBuilder(AtomicFile& file) : file_(file) {}
  TableBuilder(const TableBuilder&) = delete;
  TableBuilder& operator=(const TableBuilder&) = delete;

  // Keys rise from call to call. Errors are those of the file.
  absl::Status Add(std::string_view key, std::string_view value);
  // Writes what is left; nothing is added afterwards. Does not commit the file.
  absl::Status Finish();

 private:
  // Entries whose keys share prefixes with those before them, and restart points.
  class Block {
   public:
    explicit Block(int restart_interval) : restart_interval_(restart_interval) {}
    void Add(std::string_view key, std::string_view value);
    size_t SizeEstimate() const { return entries_.size() + 4 * restarts_.size() + 4; }
    bool empty() const { return entries_.empty(); }
    const std::string& last_key() const { return last_key_; }
    // The bytes of the block, which is empty afterwards.
    std::string Finish();

   private:
    const int restart_interval_;
    std::string entries_;
    std::vector<uint32_t> restarts_ = {0};
    int since_restart_ = 0;
    std::string last_key_;
  };

  absl::Status Flush();
  // Writes a block and returns its handle: offset and size, as the index has them.
  absl::StatusOr<std::string> WriteBlock(Block& block);

  AtomicFile& file_;
  uint64_t offset_ = 0;
  Block data_{16};
  Block index_{1};
  // Of a block that was written: its index key waits for the next block's first one.
  std::string pending_key_;
  std::string pending_handle_;
};

}  // namespace oriel::checkpoint
