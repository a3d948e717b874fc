#include "checkpoint/table_builder.h"

#include <algorithm>
#include <cassert>

#include "base/crc32c.h"

namespace oriel::checkpoint {
namespace {

constexpr size_t kBlockSize = 256 << 10;
constexpr char kNoCompression = 0;
constexpr size_t kFooterHandles = 40;
constexpr uint64_t kMagic = 0xdb4775248b80fb57;

void AppendVarint(uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

template <typename T>
void AppendFixed(T value, std::string& to) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

size_t SharedPrefix(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + size, b.begin()).first - a.begin();
}

// A short key that is not less than `last` and less than `next`.
std::string Separator(const std::string& last, std::string_view next) {
  const size_t at = SharedPrefix(last, next);
  if (at >= last.size() || at >= next.size()) return last;
  const uint8_t byte = static_cast<uint8_t>(last[at]);
  if (byte == 0xff || byte + 1 >= static_cast<uint8_t>(next[at])) return last;
  std::string key = last.substr(0, at + 1);
  ++key[at];
  return key;
}

// A short key that is not less than `last`.
std::string Successor(const std::string& last) {
  for (size_t i = 0; i < last.size(); ++i) {
    if (static_cast<uint8_t>(last[i]) == 0xff) continue;
    std::string key = last.substr(0, i + 1);
    ++key[i];
    return key;
  }
  return last;
}

}  // namespace

void TableBuilder::Block::Add(std::string_view key, std::string_view value) {
  size_t shared = 0;
  if (since_restart_ == restart_interval_) {
    restarts_.push_back(static_cast<uint32_t>(entries_.size()));
    since_restart_ = 0;
  } else {
    shared = SharedPrefix(last_key_, key);
  }
  AppendVarint(shared, entries_);
  AppendVarint(key.size() - shared, entries_);
  AppendVarint(value.size(), entries_);
  entries_ += key.substr(shared);
  entries_ += value;
  last_key_ = key;
  ++since_restart_;
}

std::string TableBuilder::Block::Finish() {
  for (const uint32_t restart : restarts_) AppendFixed(restart, entries_);
  AppendFixed(static_cast<uint32_t>(restarts_.size()), entries_);
  restarts_ = {0};
  since_restart_ = 0;
  last_key_.clear();
  return std::exchange(entries_, {});
}

absl::Status TableBuilder::Add(std::string_view key, std::string_view value) {
  // A large record has a block of its own.
  if (key.size() + value.size() >= 2 * kBlockSize) RETURN_IF_ERROR(Flush());
  assert(data_.empty() || data_.last_key() < key);
  if (!pending_handle_.empty()) {
    index_.Add(Separator(pending_key_, key), pending_handle_);
    pending_handle_.clear();
  }
  data_.Add(key, value);
  return data_.SizeEstimate() >= kBlockSize ? Flush() : absl::OkStatus();
}

absl::Status TableBuilder::Flush() {
  if (data_.empty()) return absl::OkStatus();
  pending_key_ = data_.last_key();
  ASSIGN_OR_RETURN(pending_handle_, WriteBlock(data_));
  return absl::OkStatus();
}

absl::StatusOr<std::string> TableBuilder::WriteBlock(Block& block) {
  std::string bytes = block.Finish();
  std::string handle;
  AppendVarint(offset_, handle);
  AppendVarint(bytes.size(), handle);
  bytes += kNoCompression;
  AppendFixed(MaskCrc32c(Crc32c(AsBytes(bytes))), bytes);
  RETURN_IF_ERROR(file_.Append(bytes));
  offset_ += bytes.size();
  return handle;
}

absl::Status TableBuilder::Finish() {
  RETURN_IF_ERROR(Flush());
  if (!pending_handle_.empty()) index_.Add(Successor(pending_key_), pending_handle_);
  Block no_filters(1);
  ASSIGN_OR_RETURN(std::string footer, WriteBlock(no_filters));
  ASSIGN_OR_RETURN(const std::string index, WriteBlock(index_));
  footer += index;
  footer.resize(kFooterHandles, '\0');
  AppendFixed(kMagic, footer);
  return file_.Append(footer);
}

}  // namespace oriel::checkpoint
