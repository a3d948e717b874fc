#include "model/json_reader.h"

#include <cmath>

#include "base/utf8.h"

namespace oriel::model {
namespace {

namespace json = boost::json;

constexpr size_t kMaxStringBytes = 4096;
constexpr int kMaxDepth = 8;

std::optional<double> FiniteNumber(const json::value& value) {
  if (!value.is_number()) return std::nullopt;
  const double number = value.to_number<double>();
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

void Print(const json::value& value, int indent, std::string& out);

// In one line; objects in it a line each.
void PrintArray(const json::array& array, int indent, std::string& out) {
  const bool lines = !array.empty() && array[0].is_object();
  const std::string line = "\n" + std::string(indent + 2, ' ');
  out += '[';
  for (size_t i = 0; i < array.size(); ++i) {
    if (lines) {
      out += i > 0 ? "," + line : line;
    } else if (i > 0) {
      out += ", ";
    }
    const json::object* object = array[i].if_object();
    if (object == nullptr) {
      Print(array[i], indent, out);
      continue;
    }
    out += '{';
    size_t left = object->size();
    for (const auto& member : *object) {
      out += json::serialize(json::value(member.key())) + ": ";
      Print(member.value(), indent + 2, out);
      if (--left > 0) out += ", ";
    }
    out += '}';
  }
  if (lines) out += "\n" + std::string(indent, ' ');
  out += ']';
}

void Print(const json::value& value, int indent, std::string& out) {
  if (const double* number = value.if_double()) {
    out += fmt::format("{}", *number);  // 0.875, where Boost writes 8.75E-1
    return;
  }
  if (const json::array* array = value.if_array()) {
    PrintArray(*array, indent, out);
    return;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) {
    out += json::serialize(value);
    return;
  }
  if (object->empty()) {
    out += "{}";
    return;
  }
  out += "{\n";
  size_t left = object->size();
  for (const auto& member : *object) {
    out.append(indent + 2, ' ');
    out += json::serialize(json::value(member.key()));
    out += ": ";
    Print(member.value(), indent + 2, out);
    out += --left > 0 ? ",\n" : "\n";
  }
  out.append(indent, ' ');
  out += '}';
}

}  // namespace

absl::StatusOr<json::value> ParseJsonObject(std::string_view text, std::string_view what,
                                            uint64_t max_bytes) {
  if (text.size() > max_bytes) {
    return InvalidArgument("{}: has {} bytes, the limit is {}", what, text.size(),
                           max_bytes);
  }
  json::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::value root = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return InvalidArgument("{}: not JSON: {}", what, error.message());
  if (!root.is_object()) return InvalidArgument("{}: want a JSON object", what);
  return root;
}

std::string PrintJson(const json::object& root) {
  std::string text;
  Print(root, 0, text);
  text += '\n';
  return text;
}

int ObjectReader::Int(std::string_view key, int64_t low, int64_t high) {
  const json::value* value = Take(key, true);
  if (value == nullptr) return 0;
  const int64_t* number = value->if_int64();
  if (number == nullptr) {
    Fail(key, "an integer", *value);
  } else if (*number < low || *number > high) {
    Fail(key, fmt::format("an integer from {} to {}", low, high), *value);
  } else {
    return static_cast<int>(*number);
  }
  return 0;
}

double ObjectReader::Number(std::string_view key, double low, double high) {
  const json::value* value = Take(key, true);
  if (value == nullptr) return 0;
  const auto number = FiniteNumber(*value);
  if (!number || *number < low || *number > high) {
    Fail(key, fmt::format("a number from {} to {}", low, high), *value);
    return 0;
  }
  return *number;
}

double ObjectReader::Double(const char* key, double above, double to, double fallback) {
  const json::value* value = Take(key, false);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !(value->to_number<double>() > above) ||
      !(value->to_number<double>() <= to)) {
    Fail(key, fmt::format("a number over {} and up to {}", above, to), *value);
    return fallback;
  }
  return value->to_number<double>();
}

std::string ObjectReader::Sha256(const char* key) {
  const json::value* value = Take(key, true);
  if (value == nullptr) return "";
  const json::string* text = value->if_string();
  if (text == nullptr || text->size() != 64 ||
      View(*text).find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    Fail(key, "64 lower-case hex digits", *value);
    return "";
  }
  return std::string(View(*text));
}

ObjectReader ObjectReader::Object(std::string_view key) {
  static const json::object* const kEmpty = new json::object();
  const json::value* value = Take(key, true);
  const json::object* object = value == nullptr ? nullptr : value->if_object();
  if (value != nullptr && object == nullptr) Fail(key, "an object", *value);
  return {object == nullptr ? *kEmpty : *object, FullName(key), what_, status_};
}

const json::array* ObjectReader::Array(std::string_view key, size_t least, size_t most) {
  const json::value* value = Take(key, true);
  if (value == nullptr) return nullptr;
  const json::array* array = value->if_array();
  if (array != nullptr && array->size() >= least && array->size() <= most) return array;
  Fail(key, fmt::format("an array of {} to {}", least, most), *value);
  return nullptr;
}

std::vector<double> ObjectReader::Numbers(std::string_view key, size_t least,
                                          size_t most) {
  const json::array* array = Array(key, least, most);
  if (array == nullptr) return {};
  std::vector<double> numbers;
  for (const json::value& value : *array) {
    const auto number = FiniteNumber(value);
    if (!number) {
      Fail(key, "finite numbers", value);
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::string> ObjectReader::Strings(std::string_view key, size_t most) {
  const json::array* array = Array(key, 0, most);
  if (array == nullptr) return {};
  std::vector<std::string> strings;
  for (const json::value& value : *array) {
    const json::string* text = value.if_string();
    if (text == nullptr || text->size() > kMaxStringBytes) {
      Fail(key, fmt::format("strings of at most {} bytes", kMaxStringBytes), value);
      return {};
    }
    strings.emplace_back(View(*text));
  }
  return strings;
}

std::vector<ObjectReader> ObjectReader::Objects(std::string_view key, size_t most) {
  const json::array* array = Array(key, 0, most);
  if (array == nullptr) return {};
  std::vector<ObjectReader> readers;
  for (size_t i = 0; i < array->size(); ++i) {
    const json::object* object = (*array)[i].if_object();
    if (object == nullptr) {
      Fail(key, "objects", (*array)[i]);
      return {};
    }
    readers.emplace_back(*object, fmt::format("{}[{}]", FullName(key), i), what_,
                         status_);
  }
  return readers;
}

std::vector<std::string> ObjectReader::Names(size_t most) {
  std::vector<std::string> names;
  if (object_.size() > most) {
    if (status_.ok()) {
      status_ = InvalidArgument("{}: '{}' has {} members, the limit is {}", what_, path_,
                                object_.size(), most);
    }
    return names;
  }
  for (const auto& member : object_) names.emplace_back(View(member.key()));
  return names;
}

void ObjectReader::Finish() {
  for (const auto& member : object_) {
    const std::string key(View(member.key()));
    if (taken_.contains(key)) continue;
    if (status_.ok()) {
      status_ = InvalidArgument("{}: unknown key '{}'", what_, FullName(key));
    }
  }
}

std::string ObjectReader::FullName(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const json::value* ObjectReader::Take(std::string_view key, bool required) {
  taken_.emplace(key);
  const json::value* value = object_.if_contains({key.data(), key.size()});
  if (value == nullptr && required && status_.ok()) {
    status_ = InvalidArgument("{}: '{}' is missing", what_, FullName(key));
  }
  return value;
}

std::optional<std::string> ObjectReader::OptionalString(const char* key, bool required) {
  const json::value* value = Take(key, required);
  if (value == nullptr) return std::nullopt;
  const json::string* text = value->if_string();
  if (text == nullptr || text->size() > kMaxStringBytes) {
    Fail(key, fmt::format("a string of at most {} bytes", kMaxStringBytes), *value);
    return std::nullopt;
  }
  return std::string(View(*text));
}

void ObjectReader::Fail(std::string_view key, std::string_view wanted,
                        const json::value& found) {
  if (!status_.ok()) return;
  const std::string text = Ellipsize(json::serialize(found), 80);
  status_ =
      InvalidArgument("{}: '{}' is {}, want {}", what_, FullName(key), text, wanted);
}

}  // namespace oriel::model
