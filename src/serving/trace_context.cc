#include "serving/trace_context.h"

namespace oriel::serving {
namespace {

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view text) {
  // version "-" trace-id "-" parent-id "-" flags; later versions may go on behind a "-".
  constexpr size_t kSize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
  if (text.size() < kSize || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = text.substr(0, 2);
  if (!IsHex(version) || version == "ff") return std::nullopt;
  if (text.size() > kSize && (version == "00" || text[kSize] != '-')) return std::nullopt;
  const std::string_view trace_id = text.substr(3, 32), parent_id = text.substr(36, 16);
  if (!IsId(trace_id) || !IsId(parent_id) || !IsHex(text.substr(53, 2))) {
    return std::nullopt;
  }
  return TraceContext{std::string(trace_id), std::string(parent_id)};
}

}  // namespace oriel::serving
