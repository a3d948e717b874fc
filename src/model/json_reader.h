// Strict reading of small JSON files, and printing them for people.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace oriel::model {

inline std::string_view View(boost::json::string_view text) {
  return {text.data(), text.size()};
}

// kInvalidArgument for more than `max_bytes`, for what is no JSON and for another
// value than an object; `what` names the file.
absl::StatusOr<boost::json::value> ParseJsonObject(std::string_view text,
                                                   std::string_view what,
                                                   uint64_t max_bytes);

// Two spaces of indent, a member a line, arrays in one but for their objects, a line
// break at the end: people read and edit these files.
std::string PrintJson(const boost::json::object& root);

// Takes members out of one JSON object. The first error sticks: the reads after
// it give defaults, and the status tells it. Borrows all that it is made of.
class ObjectReader {
 public:
  // `path` names the object in messages: "", "input", ...
  ObjectReader(const boost::json::object& object, std::string path, std::string_view what,
               absl::Status& status)
      : object_(object), path_(std::move(path)), what_(what), status_(status) {}

  std::string String(const char* key) { return OptionalString(key, true).value_or(""); }
  std::optional<std::string> OptionalString(const char* key) {
    return OptionalString(key, false);
  }
  int Int(std::string_view key, int64_t low, int64_t high);
  // Finite, low <= it <= high.
  double Number(std::string_view key, double low, double high);
  // above < it <= to; `fallback` when it is not there.
  double Double(const char* key, double above, double to, double fallback);
  // The hex digits of a SHA-256.
  std::string Sha256(const char* key);
  bool Has(std::string_view key) const {
    return object_.contains({key.data(), key.size()});
  }
  // A member that is an object; an empty one when it is not there.
  ObjectReader Object(std::string_view key);
  // An array of finite numbers, `least` to `most` of them.
  std::vector<double> Numbers(std::string_view key, size_t least, size_t most);
  std::vector<std::string> Strings(std::string_view key, size_t most);
  // An array of objects.
  std::vector<ObjectReader> Objects(std::string_view key, size_t most);

  // All keys there are, for objects whose keys are names; none when they are more
  // than `most`, which is an error.
  std::vector<std::string> Names(size_t most);

  // Every member was taken, else the first other one is an error.
  void Finish();

 private:
  std::string FullName(std::string_view key) const;
  const boost::json::value* Take(std::string_view key, bool required);
  // A member that is an array; nullptr with an error when it is not.
  const boost::json::array* Array(std::string_view key, size_t least, size_t most);
  std::optional<std::string> OptionalString(const char* key, bool required);
  void Fail(std::string_view key, std::string_view wanted,
            const boost::json::value& found);

  const boost::json::object& object_;
  std::string path_;
  std::string_view what_;
  absl::Status& status_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace oriel::model
