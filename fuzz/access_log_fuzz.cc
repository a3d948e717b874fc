// What a client sends, in the access log: a line stays one line, JSON stays the object
// that it was, and a trace is taken only as it was sent.

#include <boost/json/parse.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "serving/access_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using oriel::serving::LogFormat;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  oriel::serving::AccessRecord record;
  record.metrics.status = "200";
  record.path = text;
  record.method = text.substr(0, size / 2);
  record.request_id = record.client = text.substr(size / 2);
  record.trace = oriel::serving::ParseTraceparent(text);
  if (record.trace.has_value() &&
      text.substr(2, 51) !=
          "-" + record.trace->trace_id + "-" + record.trace->parent_id + "-") {
    std::abort();
  }
  const std::string line = AccessLine(record, LogFormat::kText);
  const std::string json = "{" + AccessLine(record, LogFormat::kJson) + "}";
  if (oriel::HasControlCharacters(line + json) ||
      oriel::FindInvalidUtf8(line + json).has_value() || json.size() > 20'000) {
    std::abort();
  }
  boost::json::error_code error;
  const auto parsed = boost::json::parse(json, error);
  if (error || parsed.as_object().size() != (record.trace.has_value() ? 13 : 11)) {
    std::abort();
  }
  return 0;
}
