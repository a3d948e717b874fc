// Compressed bodies: the first byte is the coding and the size of the pieces. What is
// read whole comes out of zlib's own one-shot call as well.

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "serving/http/content_coding.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using oriel::serving::http::ContentCoding;
  if (size == 0) return 0;
  const ContentCoding coding =
      data[0] % 2 == 0 ? ContentCoding::kGzip : ContentCoding::kDeflate;
  const size_t step = 1 + data[0] / 2;
  const std::string_view all(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr size_t kMost = 1 << 20;

  oriel::serving::http::Decompressor decompressor(coding);
  std::string out;
  absl::Status status;
  for (size_t at = 0; at < all.size() && status.ok(); at += step) {
    status = decompressor.Feed(all.substr(at, step), [&](std::string_view piece) {
      out += piece;
      return out.size() > kMost ? oriel::ResourceExhausted("enough") : absl::OkStatus();
    });
  }
  if (status.ok()) status = decompressor.Finish();
  if (coding == ContentCoding::kDeflate && out.size() <= kMost) {
    std::string other(kMost + 1, '\0');
    uLongf n = other.size();
    uLong used = all.size();
    const int result = uncompress2(reinterpret_cast<Bytef*>(other.data()), &n,
                                   reinterpret_cast<const Bytef*>(all.data()), &used);
    const bool whole = result == Z_OK && used == all.size();
    if (whole != status.ok() || (whole && other.substr(0, n) != out)) std::abort();
  }
  (void)oriel::serving::http::ChooseCoding(all);
  return 0;
}
