// W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace of a distributed
// tracing system a request belongs to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace oriel::serving {

struct TraceContext {
  std::string trace_id;   // 32 lower-case hexadecimal digits, not all zero
  std::string parent_id;  // of the caller's span: 16 of them
};

// The value of a `traceparent` header, of version 00 or a later one; nullopt when it is
// none.
std::optional<TraceContext> ParseTraceparent(std::string_view text);

}  // namespace oriel::serving
