// Writing JSON (RFC 8259) straight into a string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oriel::serving::http {

// Commas come by themselves; the caller balances Begin and End and gives every
// member of an object a Key.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view key);
  // Bytes that are not UTF-8 become U+FFFD.
  JsonWriter& String(std::string_view text);
  JsonWriter& Integer(int64_t value);
  JsonWriter& Boolean(bool value);
  // The shortest text that reads back as the same float; null when not finite.
  JsonWriter& Float(float value);
  // Three decimals.
  JsonWriter& Milliseconds(double value);

  std::string Take() &&;

 private:
  void Separate();
  void Quote(std::string_view text);
  std::string out_;
  bool comma_ = false;  // a value stands before the next one
};

}  // namespace oriel::serving::http
