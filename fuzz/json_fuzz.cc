// JSON of requests: what Boost.JSON's own document takes is taken, but for keys that come
// twice and what is beyond the limits, and what it refuses is refused. Then base64 of the
// same bytes.

#include <boost/json/parse.hpp>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serving/http/json_document.h"

namespace {

using oriel::serving::http::JsonValue;

// A tensor has as many numbers as its shape says; a list has items and no numbers.
void Check(const JsonValue& value) {
  if (value.is(JsonValue::Kind::kTensor)) {
    size_t elements = 1;
    for (const int64_t size : value.shape) elements *= size;
    if (value.shape.empty() || elements != value.numbers.size()) std::abort();
  } else if (!value.numbers.empty() || !value.shape.empty()) {
    std::abort();
  }
  for (const JsonValue& item : value.items) Check(item);
  for (const auto& [key, member] : value.members) Check(member);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = oriel::serving::http::ParseJson(
      text, {.max_depth = 16, .max_numbers = 10'000, .max_values = 1'000});
  boost::json::error_code ec;
  const boost::json::value other = boost::json::parse({text.data(), text.size()}, ec);
  if (value.ok()) {
    if (ec) std::abort();
    Check(*value);
  } else if (!ec) {
    // One of our own reasons.
    const std::string why(oriel::Message(value.status()));
    if (why.find("comes twice") == std::string::npos &&
        why.find("more than") == std::string::npos &&
        why.find("deeper") == std::string::npos) {
      std::abort();
    }
  }
  (void)oriel::serving::http::DecodeBase64(text);
  return 0;
}
