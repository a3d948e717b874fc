#include "serving/http/header_value.h"

#include <algorithm>
#include <cstdint>

#include "base/utf8.h"

namespace oriel::serving::http {
namespace {

bool IsTokenChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string::npos);
}

bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

std::string_view TakeToken(std::string_view& rest) {
  size_t n = 0;
  while (n < rest.size() && IsTokenChar(rest[n])) ++n;
  const std::string_view token = rest.substr(0, n);
  rest.remove_prefix(n);
  return token;
}

// `rest` stands behind the opening quote.
absl::StatusOr<std::string> TakeQuoted(std::string_view& rest) {
  std::string value;
  for (size_t i = 0; i < rest.size(); ++i) {
    char c = rest[i];
    if (c == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (IsControl(c)) break;
    if (c == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\')) {
      c = rest[++i];
    }
    value.push_back(c);
  }
  return InvalidArgument("a quoted string in a header does not end");
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = ToLower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void AppendUtf8(uint8_t latin1, std::string& out) {
  if (latin1 < 0x80) {
    out.push_back(static_cast<char>(latin1));
  } else {
    out.push_back(static_cast<char>(0xc0 | (latin1 >> 6)));
    out.push_back(static_cast<char>(0x80 | (latin1 & 0x3f)));
  }
}

}  // namespace

std::string_view TrimWhitespace(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](char x, char y) { return ToLower(x) == ToLower(y); });
}

bool ListHolds(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    item = TrimWhitespace(item.substr(0, item.find(';')));
    if (EqualsIgnoringCase(item, token)) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

const std::string* HeaderValue::Find(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

absl::StatusOr<HeaderValue> ParseHeaderValue(std::string_view text) {
  HeaderValue result;
  const size_t semicolon = text.find(';');
  result.value = ToLower(TrimWhitespace(text.substr(0, semicolon)));
  if (result.value.empty()) return InvalidArgument("an empty header value");
  for (const char c : result.value) {
    if (!IsTokenChar(c) && c != '/') return InvalidArgument("a malformed header value");
  }
  if (semicolon == std::string_view::npos) return result;
  std::string_view rest = text.substr(semicolon);
  while (true) {
    rest = TrimWhitespace(rest);
    if (rest.empty()) return result;
    if (rest[0] != ';') return InvalidArgument("a malformed header parameter");
    rest = TrimWhitespace(rest.substr(1));
    if (rest.empty() || rest[0] == ';') continue;  // empty parameters are allowed
    std::string name = ToLower(TakeToken(rest));
    if (name.empty() || rest.empty() || rest[0] != '=') {
      return InvalidArgument("a header parameter without a value");
    }
    rest.remove_prefix(1);
    std::string value;
    if (!rest.empty() && rest[0] == '"') {
      rest.remove_prefix(1);
      ASSIGN_OR_RETURN(value, TakeQuoted(rest));
    } else {
      value = TakeToken(rest);
      if (value.empty()) return InvalidArgument("a header parameter without a value");
    }
    if (result.Find(name) != nullptr) {
      return InvalidArgument("a header parameter that comes twice: {}", name);
    }
    result.parameters.emplace_back(std::move(name), std::move(value));
  }
}

std::optional<std::string> DecodeExtendedValue(std::string_view text) {
  const size_t first = text.find('\'');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = text.find('\'', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view charset = text.substr(0, first);
  const bool utf8 = EqualsIgnoringCase(charset, "utf-8");
  if (!utf8 && !EqualsIgnoringCase(charset, "iso-8859-1")) return std::nullopt;
  std::string value;
  for (size_t i = second + 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (!IsTokenChar(c)) {
      return std::nullopt;
    }
    if (utf8) {
      value.push_back(c);
    } else {
      AppendUtf8(static_cast<uint8_t>(c), value);
    }
  }
  if (utf8 && FindInvalidUtf8(value).has_value()) return std::nullopt;
  return value;
}

std::string ToValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (const auto bad = FindInvalidUtf8(text)) {
    valid += text.substr(0, *bad);
    valid += "\xef\xbf\xbd";
    text.remove_prefix(*bad + 1);
  }
  valid += text;
  return valid;
}

}  // namespace oriel::serving::http
