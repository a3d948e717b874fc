#include "serving/http/json_document.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>

namespace oriel::serving::http {
namespace {

using boost::json::error_code;
using boost::json::string_view;

// The parser's events put together.
class Handler {
 public:
  // Boost.JSON asks for them.
  static constexpr std::size_t max_object_size = -1;
  static constexpr std::size_t max_array_size = -1;
  static constexpr std::size_t max_key_size = -1;
  static constexpr std::size_t max_string_size = -1;

  explicit Handler(const JsonLimits& limits) : limits_(limits) {}

  absl::Status status;  // why a call gave false
  JsonValue root;

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

  bool on_object_begin(error_code& ec) { return Open(JsonValue::Kind::kObject, ec); }
  bool on_array_begin(error_code& ec) { return Open(JsonValue::Kind::kList, ec); }
  bool on_object_end(std::size_t, error_code& ec) { return Close(ec); }
  bool on_array_end(std::size_t, error_code& ec) {
    MakeTensor(stack_.back());
    return Close(ec);
  }

  bool on_key_part(string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(string_view part, std::size_t, error_code& ec) {
    text_.append(part.data(), part.size());
    std::vector<JsonMember>& members = stack_.back().members;
    if (members.size() >= limits_.max_members) {
      return Fail(ec, InvalidArgument("a JSON object has more than {} members",
                                      limits_.max_members));
    }
    for (const auto& [key, value] : members) {
      if (key == text_) return Fail(ec, InvalidArgument("the key '{}' comes twice", key));
    }
    members.push_back({std::exchange(text_, {}), JsonValue()});
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(string_view part, std::size_t, error_code& ec) {
    text_.append(part.data(), part.size());
    JsonValue value;
    value.kind = JsonValue::Kind::kString;
    value.string = std::exchange(text_, {});
    return Add(std::move(value), ec);
  }
  bool on_number_part(string_view, error_code&) { return true; }
  bool on_int64(std::int64_t i, string_view, error_code& ec) {
    return Number(static_cast<double>(i), ec);
  }
  bool on_uint64(std::uint64_t u, string_view, error_code& ec) {
    return Number(static_cast<double>(u), ec);
  }
  bool on_double(double d, string_view, error_code& ec) { return Number(d, ec); }
  bool on_bool(bool b, error_code& ec) {
    JsonValue value;
    value.kind = JsonValue::Kind::kBool;
    value.boolean = b;
    return Add(std::move(value), ec);
  }
  bool on_null(error_code& ec) { return Add(JsonValue(), ec); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  bool Fail(error_code& ec, absl::Status why) {
    status = std::move(why);
    ec = boost::json::error::syntax;
    return false;
  }

  bool Open(JsonValue::Kind kind, error_code& ec) {
    if (stack_.size() >= limits_.max_depth) {
      return Fail(ec,
                  InvalidArgument("JSON is nested deeper than {}", limits_.max_depth));
    }
    stack_.emplace_back().kind = kind;
    return true;
  }

  bool Close(error_code& ec) {
    JsonValue value = std::move(stack_.back());
    stack_.pop_back();
    return Add(std::move(value), ec);
  }

  bool Number(double number, error_code& ec) {
    if (stack_.empty() || !stack_.back().is(JsonValue::Kind::kList) ||
        !stack_.back().items.empty() || !stack_.back().shape.empty()) {
      JsonValue value;
      value.kind = JsonValue::Kind::kNumber;
      value.number = number;
      return Add(std::move(value), ec);
    }
    if (++numbers_ > limits_.max_numbers) {
      return Fail(ec,
                  InvalidArgument("JSON has more than {} numbers", limits_.max_numbers));
    }
    stack_.back().numbers.push_back(static_cast<float>(number));
    return true;
  }

  bool Add(JsonValue value, error_code& ec) {
    if (stack_.empty()) {
      root = std::move(value);
      return true;
    }
    JsonValue& parent = stack_.back();
    if (parent.is(JsonValue::Kind::kObject)) {
      if (!Count(ec)) return false;
      parent.members.back().value = std::move(value);
      return true;
    }
    // Rows of one shape go on being a tensor, without a value for each.
    if (value.is(JsonValue::Kind::kTensor) && parent.items.empty() &&
        (parent.shape.empty() ? parent.numbers.empty()
                              : std::equal(parent.shape.begin() + 1, parent.shape.end(),
                                           value.shape.begin(), value.shape.end()))) {
      if (parent.shape.empty()) {
        parent.shape = {0};
        parent.shape.insert(parent.shape.end(), value.shape.begin(), value.shape.end());
        parent.numbers = std::move(value.numbers);
      } else {
        parent.numbers.insert(parent.numbers.end(), value.numbers.begin(),
                              value.numbers.end());
      }
      ++parent.shape[0];
      return true;
    }
    if (!Unpack(parent, ec) || !Count(ec)) return false;
    parent.items.push_back(std::move(value));
    return true;
  }

  bool Count(error_code& ec) {
    if (++values_ <= limits_.max_values) return true;
    return Fail(ec, InvalidArgument("JSON has more than {} values", limits_.max_values));
  }

  // A list that began as a tensor and is none becomes one of items.
  bool Unpack(JsonValue& list, error_code& ec) {
    if (list.numbers.empty()) return true;
    const size_t rows = list.shape.empty() ? list.numbers.size() : list.shape[0];
    const size_t size = list.numbers.size() / rows;
    for (size_t i = 0; i < rows; ++i) {
      if (!Count(ec)) return false;
      JsonValue& item = list.items.emplace_back();
      if (list.shape.empty()) {
        item.kind = JsonValue::Kind::kNumber;
        item.number = list.numbers[i];
      } else {
        item.kind = JsonValue::Kind::kTensor;
        item.shape.assign(list.shape.begin() + 1, list.shape.end());
        item.numbers.assign(list.numbers.begin() + i * size,
                            list.numbers.begin() + (i + 1) * size);
      }
    }
    list.numbers = {};
    list.shape.clear();
    return true;
  }

  static void MakeTensor(JsonValue& list) {
    if (list.numbers.empty()) return;
    list.kind = JsonValue::Kind::kTensor;
    if (list.shape.empty()) list.shape = {static_cast<int64_t>(list.numbers.size())};
  }

  const JsonLimits limits_;
  std::vector<JsonValue> stack_;
  std::string text_;  // of a key or string that comes in parts
  size_t numbers_ = 0;
  size_t values_ = 0;
};

}  // namespace

const JsonValue* JsonValue::Find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view JsonValue::KindName() const {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "a boolean";
    case Kind::kNumber:
      return "a number";
    case Kind::kString:
      return "a string";
    case Kind::kList:
      return "a list";
    case Kind::kObject:
      return "an object";
    case Kind::kTensor:
      return "a list of numbers";
  }
  return "?";
}

absl::StatusOr<JsonValue> ParseJson(std::string_view text, const JsonLimits& limits) {
  boost::json::parse_options options;
  options.max_depth = limits.max_depth + 1;  // ours gives the better message
  boost::json::basic_parser<Handler> parser(options, limits);
  error_code ec;
  const size_t read = parser.write_some(false, text.data(), text.size(), ec);
  if (!parser.handler().status.ok()) return parser.handler().status;
  if (ec) {
    return InvalidArgument("not valid JSON at byte {}: {}", read, ec.message());
  }
  if (read != text.size()) {
    return InvalidArgument("JSON ends at byte {} of {}", read, text.size());
  }
  return std::move(parser.handler().root);
}

absl::StatusOr<std::string> DecodeBase64(std::string_view text) {
  // Value of each character; 64: none.
  static const auto values = [] {
    std::array<uint8_t, 256> table;
    table.fill(64);
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < kAlphabet.size(); ++i) {
      table[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
    }
    table['-'] = 62;
    table['_'] = 63;
    return table;
  }();
  const size_t length = text.size();
  for (int i = 0; i < 2 && length % 4 == 0 && text.ends_with('='); ++i) {
    text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) {
    return InvalidArgument("base64 of {} characters is cut off", length);
  }
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t value = values[static_cast<uint8_t>(text[i])];
    if (value == 64) {
      return InvalidArgument("base64 has a character that is none at {}", i);
    }
    bits = bits << 6 | value;
    if (++count == 4) {
      bytes += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8),
                static_cast<char>(bits)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 2) bytes += static_cast<char>(bits >> 4);
  if (count == 3) bytes += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  return bytes;
}

}  // namespace oriel::serving::http
