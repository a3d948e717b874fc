// Compressed bodies: the codings gzip and deflate (RFC 9110, section 8.4.1; zlib).
#pragma once

#include <absl/functional/function_ref.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace oriel::serving::http {

enum class ContentCoding { kIdentity, kGzip, kDeflate };

std::string_view ContentCodingName(ContentCoding coding);  // "gzip"

// Of a Content-Encoding header, which may be empty; nullopt for other codings and for
// several at once.
std::optional<ContentCoding> ParseContentEncoding(std::string_view header);

// What an answer may be sent as, by the Accept-Encoding header: the coding with the
// highest weight, gzip before deflate before none where they are equal. Without a header:
// none.
ContentCoding ChooseCoding(std::string_view accept_encoding);

// Undoes a coding as its bytes come. One thread at a time.
class Decompressor {
 public:
  explicit Decompressor(ContentCoding coding);  // not kIdentity
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  // Hands what `bytes` hold to `sink`, piece by piece of at most 64 KiB, so that the sink
  // can stop a bomb: its errors are returned. kInvalidArgument for bytes that are no such
  // coding, and for what follows its end (gzip may have several members).
  absl::Status Feed(std::string_view bytes,
                    absl::FunctionRef<absl::Status(std::string_view)> sink);
  // OK when everything has come.
  absl::Status Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `bytes` in the coding, at zlib's fastest level.
std::string Compress(ContentCoding coding, std::string_view bytes);

}  // namespace oriel::serving::http
