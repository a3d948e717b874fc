// Borrowed bytes, and reading from them without ever going past their end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/status.h"

namespace oriel {

using Bytes = std::span<const uint8_t>;

inline Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The smallest multiple of `unit` that is not less than `size`.
template <typename T>
constexpr T RoundUp(T size, std::type_identity_t<T> unit) {
  return (size + unit - 1) / unit * unit;
}

inline std::string_view AsStringView(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// bytes[offset, offset + size), or kDataLoss that names `what`.
inline absl::StatusOr<Bytes> Sub(Bytes bytes, uint64_t offset, uint64_t size,
                                 std::string_view what) {
  if (offset > bytes.size() || size > bytes.size() - offset) {
    return DataLoss("{}: want {} bytes at offset {}, have {}", what, size, offset,
                    bytes.size());
  }
  return bytes.subspan(offset, size);
}

static_assert(std::endian::native == std::endian::little,
              "Oriel reads little-endian formats in place");

// The little-endian value at `p`, which need not be aligned.
template <typename T>
T LoadLittleEndian(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

// Reads a stream of fields off the front of borrowed bytes. Every call either
// succeeds or returns kDataLoss that names `what`, the offset, and the lack.
class ByteReader {
 public:
  ByteReader(Bytes bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  bool done() const { return remaining() == 0; }

  absl::StatusOr<Bytes> Take(uint64_t size) {
    auto taken = Sub(bytes_, offset_, size, what_);
    if (taken.ok()) offset_ += size;
    return taken;
  }

  template <typename T>
  absl::StatusOr<T> Read() {
    ASSIGN_OR_RETURN(Bytes b, Take(sizeof(T)));
    return LoadLittleEndian<T>(b.data());
  }

  // A base-128 varint of at most 10 bytes.
  absl::StatusOr<uint64_t> ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      ASSIGN_OR_RETURN(const uint8_t byte, Read<uint8_t>());
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return DataLoss("{}: varint at offset {} is longer than 64 bits", what_, offset_);
  }

 private:
  Bytes bytes_;
  size_t offset_ = 0;
  std::string_view what_;
};

}  // namespace oriel
