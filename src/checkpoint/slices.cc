#include "checkpoint/slices.h"

#include <bit>

namespace oriel::checkpoint {
namespace {

constexpr size_t kMaxSlices = 4096;

// One byte for the count of big-endian bytes, then those bytes.
void AppendUnsigned(uint64_t value, std::string& key) {
  const int bytes = (64 - std::countl_zero(value) + 7) / 8;
  key += static_cast<char>(bytes);
  for (int i = bytes - 1; i >= 0; --i) key += static_cast<char>(value >> (8 * i));
}

// Big-endian two's complement in n bytes, whose first n bits (the sign and copies
// of it) are flipped to tell the length: 7n-1 bits are left for the value.
void AppendSigned(int64_t value, std::string& key) {
  const uint64_t magnitude = value < 0 ? ~value : value;
  const int bits = 64 - std::countl_zero(magnitude);
  const int bytes = bits / 7 + 1;
  uint8_t text[10];
  const uint8_t sign = value < 0 ? 0xff : 0;
  for (int i = 0; i < bytes; ++i) {
    const int shift = 8 * (bytes - 1 - i);
    text[i] = shift >= 64 ? sign : static_cast<uint8_t>(value >> shift);
  }
  for (int i = 0; i < bytes; ++i) text[i / 8] ^= 0x80 >> (i % 8);
  key.append(reinterpret_cast<const char*>(text), bytes);
}

// 00 and ff are escaped, 00 01 ends the text.
void AppendText(std::string_view text, std::string& key) {
  for (const char c : text) {
    key += c;
    if (c == '\0') key += '\xff';
    if (c == '\xff') key += '\0';
  }
  key.append("\0\1", 2);
}

bool Disjoint(const Slice& a, const Slice& b, const Shape& whole) {
  for (int i = 0; i < whole.rank(); ++i) {
    const auto [a_begin, a_end] = SliceRange(a, whole, i);
    const auto [b_begin, b_end] = SliceRange(b, whole, i);
    if (a_end <= b_begin || b_end <= a_begin) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Slice> SliceFromProto(const tensorflow::TensorSliceProto& proto) {
  Slice slice;
  for (const auto& extent : proto.extent()) {
    const bool all = extent.has_length_case() ==
                     tensorflow::TensorSliceProto::Extent::HAS_LENGTH_NOT_SET;
    if (extent.start() < 0 || (!all && extent.length() < 0) ||
        (all && extent.start() != 0)) {
      return DataLoss("slice from {} of length {}", extent.start(), extent.length());
    }
    slice.start.push_back(extent.start());
    slice.length.push_back(all ? -1 : extent.length());
  }
  return slice;
}

std::string SliceKey(std::string_view name, const Slice& slice) {
  std::string key;
  AppendUnsigned(0, key);
  AppendText(name, key);
  AppendUnsigned(slice.start.size(), key);
  for (size_t i = 0; i < slice.start.size(); ++i) {
    AppendSigned(slice.start[i], key);
    AppendSigned(slice.length[i], key);
  }
  return key;
}

absl::Status CheckTiling(std::span<const Slice> slices, const Shape& whole,
                         std::string_view what) {
  if (slices.size() > kMaxSlices) {
    return ResourceExhausted("{}: has {} slices, the limit is {}", what, slices.size(),
                             kMaxSlices);
  }
  // Within bounds and disjoint, they cover the whole just when the sizes add up.
  // Sums stay far below overflow: disjointness is found before.
  int64_t elements = 0;
  std::vector<const Slice*> seen;
  for (const Slice& slice : slices) {
    ASSIGN_OR_RETURN(const Shape shape, SliceShape(slice, whole, what));
    if (shape.elements() == 0) continue;
    for (const Slice* other : seen) {
      if (!Disjoint(slice, *other, whole)) {
        return DataLoss("{}: slices overlap", what);
      }
    }
    seen.push_back(&slice);
    elements += shape.elements();
  }
  if (elements != whole.elements()) {
    return DataLoss("{}: {} slices hold {} elements, a shape {} wants {}", what,
                    slices.size(), elements, whole.ToString(), whole.elements());
  }
  return absl::OkStatus();
}

}  // namespace oriel::checkpoint
