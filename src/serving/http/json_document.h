// JSON (RFC 8259) of requests, with arrays of numbers kept as arrays of floats: an image
// as nested lists has hundreds of thousands of them.
//
// Read by Boost.JSON's incremental parser. A document takes some four bytes for each
// number, whatever its size as text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace oriel::serving::http {

struct JsonLimits {
  int max_depth = 32;
  size_t max_numbers = size_t{16} << 20;
  size_t max_values = 100'000;  // others, and lists that are no tensors
  size_t max_members = 1000;    // of one object
};

struct JsonMember;

struct JsonValue {
  enum class Kind { kNull, kBool, kNumber, kString, kList, kObject, kTensor };

  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  std::string string;
  // A list of numbers, or of lists of numbers of one shape: row-major. Numbers are
  // rounded to float.
  std::vector<int64_t> shape;
  std::vector<float> numbers;
  std::vector<JsonValue> items;  // of any other list; an empty list is one
  std::vector<JsonMember> members;

  bool is(Kind k) const { return kind == k; }
  // Of an object; null when there is none.
  const JsonValue* Find(std::string_view key) const;
  JsonValue* Find(std::string_view key) {
    return const_cast<JsonValue*>(std::as_const(*this).Find(key));
  }
  // "a list", for messages.
  std::string_view KindName() const;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

// The whole of `text` is one value. kInvalidArgument that says where it is not,
// kInvalidArgument too for a key that comes twice, and beyond the limits.
absl::StatusOr<JsonValue> ParseJson(std::string_view text, const JsonLimits& limits = {});

// Base64 (RFC 4648), of the standard or the URL-safe alphabet, with or without padding,
// as TensorFlow Serving takes it. kInvalidArgument.
absl::StatusOr<std::string> DecodeBase64(std::string_view text);

}  // namespace oriel::serving::http
