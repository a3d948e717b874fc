#include "serving/http/content_coding.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <new>
#include <utility>

#include "serving/http/header_value.h"

namespace oriel::serving::http {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr int kWindowBits = 15;
constexpr int kGzipWindowBits = kWindowBits + 16;  // as zlib has it

int WindowBits(ContentCoding coding) {
  return coding == ContentCoding::kGzip ? kGzipWindowBits : kWindowBits;
}

Bytef* ZlibBytes(std::string_view bytes) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}

// "q=0.5" -> 500; nullopt for what is no weight.
std::optional<int> Weight(std::string_view parameter) {
  if (parameter.size() < 3 || (parameter[0] != 'q' && parameter[0] != 'Q') ||
      parameter[1] != '=') {
    return std::nullopt;
  }
  double weight = 0;
  const char* last = parameter.data() + parameter.size();
  const auto [end, error] =
      std::from_chars(parameter.data() + 2, last, weight, std::chars_format::fixed);
  if (error != std::errc() || end != last || !(weight >= 0 && weight <= 1)) {
    return std::nullopt;
  }
  return static_cast<int>(weight * 1000);
}

}  // namespace

std::string_view ContentCodingName(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::kGzip:
      return "gzip";
    case ContentCoding::kDeflate:
      return "deflate";
    case ContentCoding::kIdentity:
      break;
  }
  return "identity";
}

std::optional<ContentCoding> ParseContentEncoding(std::string_view header) {
  header = TrimWhitespace(header);
  if (header.empty() || EqualsIgnoringCase(header, "identity")) {
    return ContentCoding::kIdentity;
  }
  if (EqualsIgnoringCase(header, "gzip") || EqualsIgnoringCase(header, "x-gzip")) {
    return ContentCoding::kGzip;
  }
  if (EqualsIgnoringCase(header, "deflate")) return ContentCoding::kDeflate;
  return std::nullopt;
}

ContentCoding ChooseCoding(std::string_view accept_encoding) {
  std::optional<int> gzip, deflate, identity, others;
  while (!accept_encoding.empty()) {
    const size_t comma = accept_encoding.find(',');
    const std::string_view item = accept_encoding.substr(0, comma);
    accept_encoding.remove_prefix(comma == std::string_view::npos ? accept_encoding.size()
                                                                  : comma + 1);
    const size_t semicolon = item.find(';');
    const std::string_view name = TrimWhitespace(item.substr(0, semicolon));
    int weight = 1000;
    if (semicolon != std::string_view::npos) {
      const auto given = Weight(TrimWhitespace(item.substr(semicolon + 1)));
      if (!given.has_value()) continue;
      weight = *given;
    }
    if (EqualsIgnoringCase(name, "gzip") || EqualsIgnoringCase(name, "x-gzip")) {
      gzip = weight;
    } else if (EqualsIgnoringCase(name, "deflate")) {
      deflate = weight;
    } else if (EqualsIgnoringCase(name, "identity")) {
      identity = weight;
    } else if (name == "*") {
      others = weight;
    }
  }
  const int for_gzip = gzip.value_or(others.value_or(0));
  const int for_deflate = deflate.value_or(others.value_or(0));
  // Not named it is acceptable all the same, but less than what is.
  const int for_identity = identity.value_or(1);
  const int best = std::max({for_gzip, for_deflate, for_identity});
  if (best == for_gzip && for_gzip > 0) return ContentCoding::kGzip;
  if (best == for_deflate && for_deflate > 0) return ContentCoding::kDeflate;
  return ContentCoding::kIdentity;
}

struct Decompressor::State {
  z_stream stream = {};
  ContentCoding coding = ContentCoding::kGzip;
  bool at_end = false;  // of a gzip member or of the zlib stream
  std::unique_ptr<char[]> piece = std::make_unique<char[]>(kPiece);

  ~State() { inflateEnd(&stream); }
};

Decompressor::Decompressor(ContentCoding coding) : state_(std::make_unique<State>()) {
  state_->coding = coding;
  if (inflateInit2(&state_->stream, WindowBits(coding)) != Z_OK) throw std::bad_alloc();
}

Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

absl::Status Decompressor::Feed(std::string_view bytes,
                                absl::FunctionRef<absl::Status(std::string_view)> sink) {
  State& state = *state_;
  z_stream& stream = state.stream;
  while (!bytes.empty()) {
    if (state.at_end) {
      if (state.coding != ContentCoding::kGzip) {
        return InvalidArgument("the deflate body goes on after its end");
      }
      inflateReset(&stream);
      state.at_end = false;
    }
    const size_t take = std::min<size_t>(bytes.size(), std::numeric_limits<uInt>::max());
    stream.next_in = ZlibBytes(bytes);
    stream.avail_in = static_cast<uInt>(take);
    int result = Z_OK;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(state.piece.get());
      stream.avail_out = kPiece;
      result = inflate(&stream, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        return InvalidArgument("the body is not {}, which its Content-Encoding says: {}",
                               ContentCodingName(state.coding),
                               stream.msg != nullptr ? stream.msg : "broken data");
      }
      const size_t made = kPiece - stream.avail_out;
      if (made > 0) RETURN_IF_ERROR(sink({state.piece.get(), made}));
    } while (result == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
    state.at_end = result == Z_STREAM_END;
    bytes.remove_prefix(take - stream.avail_in);
  }
  return absl::OkStatus();
}

absl::Status Decompressor::Finish() const {
  if (state_->at_end) return absl::OkStatus();
  return InvalidArgument("the {} body ends before its end",
                         ContentCodingName(state_->coding));
}

std::string Compress(ContentCoding coding, std::string_view bytes) {
  if (coding == ContentCoding::kIdentity) return std::string(bytes);
  z_stream stream = {};
  constexpr int kMemoryLevel = 8;  // zlib's default
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, WindowBits(coding), kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  std::string compressed;
  compressed.resize(deflateBound(&stream, bytes.size()));
  stream.next_in = ZlibBytes(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  deflate(&stream, Z_FINISH);  // ends in one call: there is room
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

}  // namespace oriel::serving::http
