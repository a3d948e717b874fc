#include "base/utf8.h"

#include <cstdint>

namespace oriel {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct CodePoint {
  uint32_t value;
  int size;  // 0: the byte at the front is not well-formed UTF-8
};

CodePoint Decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const int size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {0, 0};
  uint32_t value = first & (0xff >> (size + 1));
  for (int i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    value = value << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (overlong || surrogate || value > 0x10ffff) return {0, 0};
  return {value, size};
}

bool IsControl(uint32_t value) {
  return value < 0x20 || (value >= 0x7f && value < 0xa0) ||
         (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069) ||
         value == 0xfeff;
}

}  // namespace

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const int size = Decode(text.substr(at)).size;
    if (size == 0) return at;
    at += size;
  }
  return std::nullopt;
}

bool HasControlCharacters(std::string_view text) {
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    if (point.size > 0 && IsControl(point.value)) return true;
    text.remove_prefix(point.size > 0 ? point.size : 1);
  }
  return false;
}

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    const size_t size = point.size > 0 ? point.size : 1;
    out +=
        point.size == 0 || IsControl(point.value) ? kReplacement : text.substr(0, size);
    text.remove_prefix(size);
  }
  return out;
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string ToLower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ToLower(c);
  return lower;
}

size_t CountCodePoints(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  return count;
}

std::string Ellipsize(std::string_view text, size_t count) {
  if (CountCodePoints(text) <= count) return std::string(text);
  if (count == 0) return "";
  size_t at = 0;
  for (size_t kept = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<uint8_t>(text[at]) & 0xc0) != 0x80;
    if (begins && kept++ == count - 1) break;
  }
  return std::string(text.substr(0, at)) + "…";
}

}  // namespace oriel
