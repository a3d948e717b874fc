#include "checkpoint/name_map.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "base/files.h"
#include "base/utf8.h"

namespace oriel::checkpoint {
namespace {

namespace json = boost::json;

constexpr uint64_t kMaxFileBytes = 64 << 20;
constexpr size_t kMaxDepth = 8;
constexpr int64_t kMaxSize = int64_t{1} << 40;
constexpr int kMaxRank = 64;
constexpr std::string_view kVersionKey = "oriel_name_map";
constexpr int kVersion = 1;

// Layouts that have names.
struct LayoutRow {
  std::string_view name;
  std::vector<int> axes;
};
const std::vector<LayoutRow>& Layouts() {
  static const std::vector<LayoutRow> layouts = {
      {"oihw_to_hwio", {2, 3, 1, 0}},
      {"hwio_to_oihw", {3, 2, 0, 1}},
      {"transpose", {1, 0}},
  };
  return layouts;
}

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }
json::string_view JsonText(std::string_view text) { return {text.data(), text.size()}; }

// The members of an object, each taken once; what is left over is an error. Errors
// name the object.
class Members {
 public:
  Members(const json::object& object, std::string what)
      : object_(object), what_(std::move(what)) {}

  const json::value* Take(std::string_view key) {
    taken_.insert(key);
    return object_.if_contains(JsonText(key));
  }

  absl::Status TakeText(std::string_view key, std::string& to) {
    const json::value* const value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    if (!value->is_string() || value->get_string().empty()) return Wrong(key, "a text");
    to = View(value->get_string());
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status TakeInteger(std::string_view key, T& to, int64_t least, int64_t most) {
    const json::value* const value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    const int64_t* const number = value->if_int64();
    if (number == nullptr || *number < least || *number > most) {
      return Wrong(key, fmt::format("a whole number from {} to {}", least, most));
    }
    to = static_cast<T>(*number);
    return absl::OkStatus();
  }

  absl::Status TakeNumber(std::string_view key, double& to) {
    const json::value* const value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    json::error_code error;
    to = value->to_number<double>(error);
    if (error || !(std::abs(to) <= 1e9)) return Wrong(key, "a number within 1e9");
    return absl::OkStatus();
  }

  absl::Status TakeShape(std::string_view key, Shape& to) {
    const json::value* const value = Take(key);
    if (value == nullptr) return absl::OkStatus();
    std::vector<int64_t> dims;
    if (!value->is_array()) return Wrong(key, "an array of sizes");
    for (const json::value& item : value->get_array()) {
      const int64_t* const size = item.if_int64();
      if (size == nullptr || *size < 0) return Wrong(key, "an array of sizes");
      dims.push_back(*size);
    }
    to = Shape(std::move(dims));
    return absl::OkStatus();
  }

  // The object under `key`, or nullptr.
  absl::Status TakeObject(std::string_view key, const json::object*& to) {
    const json::value* const value = Take(key);
    to = value == nullptr ? nullptr : value->if_object();
    return value != nullptr && to == nullptr ? Wrong(key, "an object") : absl::OkStatus();
  }

  absl::Status NothingLeft() const {
    for (const auto& [key, value] : object_) {
      if (!taken_.contains(View(key))) {
        return InvalidArgument("{}: has an unknown key '{}'", what_,
                               Printable(View(key)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Wrong(std::string_view key, std::string_view want) const {
    return InvalidArgument("{}: '{}' is not {}", what_, key, want);
  }
  const std::string& what() const { return what_; }

 private:
  const json::object& object_;
  std::string what_;
  std::set<std::string_view> taken_;
};

absl::Status ParseLayout(Members& members, std::vector<int>& axes) {
  const json::value* const value = members.Take("layout");
  if (value == nullptr) return absl::OkStatus();
  if (const json::string* const name = value->if_string()) {
    for (const LayoutRow& row : Layouts()) {
      if (row.name == View(*name)) axes = row.axes;
    }
    if (!axes.empty()) return absl::OkStatus();
  } else if (const json::array* const array = value->if_array()) {
    std::vector<bool> seen(array->size(), false);
    for (const json::value& item : *array) {
      const int64_t* const axis = item.if_int64();
      const int64_t rank = static_cast<int64_t>(array->size());
      if (axis == nullptr || *axis < 0 || *axis >= rank || seen[*axis]) break;
      seen[*axis] = true;
      axes.push_back(static_cast<int>(*axis));
    }
    if (!axes.empty() && axes.size() == array->size() && axes.size() <= kMaxRank) {
      return absl::OkStatus();
    }
  }
  return members.Wrong("layout",
                       "'oihw_to_hwio', 'hwio_to_oihw', 'transpose' or an order of "
                       "dimensions");
}

absl::Status ParseFill(Members& members, MapEntry& entry) {
  const json::object* object;
  RETURN_IF_ERROR(members.TakeObject("fill", object));
  if (object == nullptr) return absl::OkStatus();
  Members fill(*object, members.what() + ": fill");
  entry.fill.emplace();
  RETURN_IF_ERROR(fill.TakeNumber("value", entry.fill->value));
  RETURN_IF_ERROR(fill.TakeText("shape_of", entry.fill->shape_of));
  RETURN_IF_ERROR(fill.TakeShape("shape", entry.fill->shape));
  std::string dtype = "float32";
  RETURN_IF_ERROR(fill.TakeText("dtype", dtype));
  if (dtype != "float32" && dtype != "int64") {
    return fill.Wrong("dtype", "'float32' or 'int64'");
  }
  entry.fill->dtype = dtype == "int64" ? DType::kInt64 : DType::kFloat32;
  double& number = entry.fill->value;
  if (dtype == "int64" && number != std::trunc(number)) {
    return fill.Wrong("value", "a whole number, for int64");
  }
  number = dtype == "int64" ? number : static_cast<float>(number);
  RETURN_IF_ERROR(
      CheckedElements(entry.fill->shape, 8, fill.what(), uint64_t{1} << 26).status());
  return fill.NothingLeft();
}

absl::Status ParseSteps(Members& members, MapEntry& entry) {
  const json::object* object;
  RETURN_IF_ERROR(ParseLayout(members, entry.axes));
  RETURN_IF_ERROR(members.TakeObject("slice", object));
  if (object != nullptr) {
    Members slice(*object, members.what() + ": slice");
    entry.slice.emplace();
    RETURN_IF_ERROR(slice.TakeInteger("axis", entry.slice->axis, 0, kMaxRank));
    RETURN_IF_ERROR(slice.TakeInteger("start", entry.slice->start, 0, kMaxSize));
    RETURN_IF_ERROR(slice.TakeInteger("stop", entry.slice->stop, -kMaxSize, kMaxSize));
    RETURN_IF_ERROR(slice.NothingLeft());
  }
  RETURN_IF_ERROR(members.TakeObject("scale", object));
  if (object != nullptr) {
    Members scale(*object, members.what() + ": scale");
    entry.scale.emplace();
    RETURN_IF_ERROR(scale.TakeText("by", entry.scale->by));
    RETURN_IF_ERROR(scale.TakeInteger("axis", entry.scale->axis, 0, kMaxRank));
    if (entry.scale->by.empty()) return scale.Wrong("by", "there");
    RETURN_IF_ERROR(scale.NothingLeft());
  }
  RETURN_IF_ERROR(members.TakeObject("pad", object));
  if (object != nullptr) {
    Members pad(*object, members.what() + ": pad");
    entry.pad.emplace();
    constexpr int64_t kMost = 1 << 16;
    RETURN_IF_ERROR(pad.TakeInteger("axis", entry.pad->axis, 0, kMaxRank));
    RETURN_IF_ERROR(pad.TakeInteger("before", entry.pad->before, 0, kMost));
    RETURN_IF_ERROR(pad.TakeInteger("after", entry.pad->after, 0, kMost));
    double number = 0;
    RETURN_IF_ERROR(pad.TakeNumber("value", number));
    entry.pad->value = static_cast<float>(number);
    RETURN_IF_ERROR(pad.NothingLeft());
  }
  return absl::OkStatus();
}

absl::StatusOr<MapEntry> ParseEntry(const json::value& value, const std::string& what) {
  if (!value.is_object()) return InvalidArgument("{}: is no object", what);
  Members members(value.get_object(), what);
  MapEntry entry;
  RETURN_IF_ERROR(members.TakeText("to", entry.to));
  if (entry.to.empty()) return members.Wrong("to", "there");
  RETURN_IF_ERROR(members.TakeText("from", entry.from));
  RETURN_IF_ERROR(ParseFill(members, entry));
  if (entry.from.empty() == !entry.fill) {
    return InvalidArgument("{}: wants either 'from' or 'fill'", what);
  }
  if (!entry.fill) RETURN_IF_ERROR(ParseSteps(members, entry));
  RETURN_IF_ERROR(members.NothingLeft());
  return entry;
}

json::object FormatEntry(const MapEntry& entry) {
  json::object object;
  if (!entry.from.empty()) object["from"] = entry.from;
  object["to"] = entry.to;
  if (!entry.axes.empty()) {
    const auto row =
        std::find_if(Layouts().begin(), Layouts().end(),
                     [&](const LayoutRow& row) { return row.axes == entry.axes; });
    object["layout"] =
        row == Layouts().end()
            ? json::value(json::array(entry.axes.begin(), entry.axes.end()))
            : json::value(JsonText(row->name));
  }
  if (entry.slice) {
    object["slice"] = {{"axis", entry.slice->axis},
                       {"start", entry.slice->start},
                       {"stop", entry.slice->stop}};
  }
  if (entry.scale) {
    object["scale"] = {{"by", entry.scale->by}, {"axis", entry.scale->axis}};
  }
  if (entry.pad) {
    object["pad"] = {{"axis", entry.pad->axis},
                     {"before", entry.pad->before},
                     {"after", entry.pad->after},
                     {"value", entry.pad->value}};
  }
  if (entry.fill) {
    json::object fill = {{"value", entry.fill->value}};
    if (!entry.fill->shape_of.empty()) {
      fill["shape_of"] = entry.fill->shape_of;
    } else {
      const auto& dims = entry.fill->shape.dims();
      fill["shape"] = json::array(dims.begin(), dims.end());
    }
    if (entry.fill->dtype != DType::kFloat32) {
      fill["dtype"] = JsonText(DTypeName(entry.fill->dtype));
    }
    object["fill"] = std::move(fill);
  }
  return object;
}

}  // namespace

absl::StatusOr<NameMap> ParseNameMap(std::string_view text, std::string_view what) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::error_code error;
  json::monotonic_resource memory;
  const json::value root = json::parse(JsonText(text), error, &memory, options);
  if (error || !root.is_object()) {
    return InvalidArgument("{}: is no JSON object: {}", what, error.message());
  }
  Members members(root.get_object(), std::string(what));
  int version = 0;
  RETURN_IF_ERROR(members.TakeInteger(kVersionKey, version, kVersion, kVersion));
  if (version == 0) {
    return InvalidArgument("{}: has no \"{}\": {}, as name maps have", what, kVersionKey,
                           kVersion);
  }
  NameMap map;
  RETURN_IF_ERROR(members.TakeText("description", map.description));
  const json::value* const variables = members.Take("variables");
  if (variables == nullptr || !variables->is_array()) {
    return members.Wrong("variables", "an array");
  }
  std::set<std::string_view> names;
  for (const json::value& value : variables->get_array()) {
    ASSIGN_OR_RETURN(
        MapEntry entry,
        ParseEntry(value, fmt::format("{}: variables[{}]", what, map.variables.size())));
    map.variables.push_back(std::move(entry));
  }
  for (const MapEntry& entry : map.variables) {
    if (!names.insert(entry.to).second) {
      return InvalidArgument("{}: '{}' is made twice", what, Printable(entry.to));
    }
  }
  if (const json::value* const drop = members.Take("drop")) {
    if (!drop->is_array()) return members.Wrong("drop", "an array of names");
    for (const json::value& name : drop->get_array()) {
      if (!name.is_string()) return members.Wrong("drop", "an array of names");
      map.drop.emplace_back(View(name.get_string()));
    }
  }
  RETURN_IF_ERROR(members.NothingLeft());
  return map;
}

absl::StatusOr<NameMap> ReadNameMap(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  return ParseNameMap(text, path.string());
}

std::string FormatNameMap(const NameMap& map) {
  std::string text = fmt::format("{{\n  \"{}\": {},\n", kVersionKey, kVersion);
  if (!map.description.empty()) {
    text += fmt::format("  \"description\": {},\n",
                        json::serialize(json::value(JsonText(map.description))));
  }
  // An entry to a line, so that maps can be compared and edited as text.
  text += "  \"variables\": [";
  for (size_t i = 0; i < map.variables.size(); ++i) {
    text += fmt::format("{}\n    {}", i == 0 ? "" : ",",
                        json::serialize(FormatEntry(map.variables[i])));
  }
  text += "\n  ],\n  \"drop\": [";
  for (size_t i = 0; i < map.drop.size(); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ",
                        json::serialize(json::value(JsonText(map.drop[i]))));
  }
  return text + "]\n}\n";
}

bool MatchesPattern(std::string_view name, std::string_view pattern) {
  // `star` is the last '*' that was passed, `from` the text that it has not taken yet.
  size_t n = 0, p = 0, star = pattern.npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace oriel::checkpoint
