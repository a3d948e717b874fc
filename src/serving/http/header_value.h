// Header field values of the form `value; name=token; name="quoted"`
// (RFC 9110, section 5.6.6): Content-Type, Content-Disposition.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace oriel::serving::http {

struct HeaderValue {
  std::string value;  // lower case: "multipart/form-data"
  std::vector<std::pair<std::string, std::string>> parameters;  // names lower case

  // Null when there is none.
  const std::string* Find(std::string_view name) const;
};

// kInvalidArgument for what does not follow the grammar, and for a parameter that
// comes twice. In quoted strings \" and \\ are unescaped and other backslashes
// kept, because browsers put file names there as they are.
absl::StatusOr<HeaderValue> ParseHeaderValue(std::string_view text);

// The value of an RFC 8187 parameter (filename*=UTF-8''na%C3%AFve.jpg) as UTF-8;
// nullopt when it is malformed or in a character set other than UTF-8 and
// ISO-8859-1.
std::optional<std::string> DecodeExtendedValue(std::string_view text);

// ASCII only.
std::string_view TrimWhitespace(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);
// Whether a comma-separated list holds `token`, ignoring case and parameters:
// "text/html;q=0.9, */*" holds "text/html".
bool ListHolds(std::string_view list, std::string_view token);

// `text` with each byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string ToValidUtf8(std::string_view text);

}  // namespace oriel::serving::http
