// Text that came from outside: is it UTF-8, and what may go to a terminal.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace oriel {

// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629:
// no overlong forms, no surrogates, nothing over U+10FFFF); nullopt when all is.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

// Whether `text` has control characters: U+0000..U+001F, U+007F..U+009F, which
// could drive a terminal, the separators that some take for ends of lines (U+2028,
// U+2029), the marks that reorder text (U+202A..U+202E, U+2066..U+2069), and the byte
// order mark U+FEFF.
bool HasControlCharacters(std::string_view text);

// `text` fit to be printed or put into JSON: each byte that is not UTF-8 and each
// control character becomes U+FFFD. File names are bytes, not text.
std::string Printable(std::string_view text);

// ASCII letters alone: never as the locale says.
char ToLower(char c);
std::string ToLower(std::string_view text);

// Code points of valid UTF-8.
size_t CountCodePoints(std::string_view text);

// The first `count` code points of valid UTF-8; the last of them is an ellipsis
// when something was cut off.
std::string Ellipsize(std::string_view text, size_t count);

}  // namespace oriel
