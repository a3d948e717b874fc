#include "model/model_config.h"

#include <boost/json.hpp>
#include <cmath>
#include <set>

#include "base/files.h"
#include "base/utf8.h"

namespace oriel::model {
namespace {

namespace json = boost::json;

constexpr int kSchemaVersion = 1;
constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr int kMaxImageSize = 4096;
constexpr int kMaxClasses = 10'000'000;
constexpr size_t kMaxStringBytes = 4096;

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

// Takes members out of one JSON object. The first error sticks: the reads after
// it give defaults, and status() tells it.
class ObjectReader {
 public:
  // `path` names the object in messages: "", "input", ...
  ObjectReader(const json::object& object, std::string path, std::string_view what,
               absl::Status& status)
      : object_(object), path_(std::move(path)), what_(what), status_(status) {}

  std::string String(const char* key) { return OptionalString(key, true).value_or(""); }
  std::optional<std::string> OptionalString(const char* key) {
    return OptionalString(key, false);
  }

  int Int(const char* key, int64_t low, int64_t high) {
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

  double Double(const char* key, double above, double to, double fallback) {
    const json::value* value = Take(key, false);
    if (value == nullptr) return fallback;
    if (!value->is_number() || !(value->to_number<double>() > above) ||
        !(value->to_number<double>() <= to)) {
      Fail(key, fmt::format("a number over {} and up to {}", above, to), *value);
      return fallback;
    }
    return value->to_number<double>();
  }

  // The hex digits of a SHA-256.
  std::string Sha256(const char* key) {
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

  // A member that is an object; an empty one when it is not there.
  ObjectReader Object(const char* key) {
    static const json::object* const kEmpty = new json::object();
    const json::value* value = Take(key, true);
    const json::object* object = value == nullptr ? nullptr : value->if_object();
    if (value != nullptr && object == nullptr) Fail(key, "an object", *value);
    return {object == nullptr ? *kEmpty : *object, FullName(key), what_, status_};
  }

  // Every member was taken, else the first other one is an error.
  void Finish() {
    for (const auto& member : object_) {
      const std::string key(View(member.key()));
      if (taken_.contains(key)) continue;
      if (status_.ok()) {
        status_ = InvalidArgument("{}: unknown key '{}'", what_, FullName(key));
      }
    }
  }

 private:
  std::string FullName(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

  const json::value* Take(const char* key, bool required) {
    taken_.emplace(key);
    const json::value* value = object_.if_contains(key);
    if (value == nullptr && required && status_.ok()) {
      status_ = InvalidArgument("{}: '{}' is missing", what_, FullName(key));
    }
    return value;
  }

  std::optional<std::string> OptionalString(const char* key, bool required) {
    const json::value* value = Take(key, required);
    if (value == nullptr) return std::nullopt;
    const json::string* text = value->if_string();
    if (text == nullptr || text->size() > kMaxStringBytes) {
      Fail(key, fmt::format("a string of at most {} bytes", kMaxStringBytes), *value);
      return std::nullopt;
    }
    return std::string(View(*text));
  }

  void Fail(const char* key, std::string_view wanted, const json::value& found) {
    if (!status_.ok()) return;
    const std::string text = Ellipsize(json::serialize(found), 80);
    status_ =
        InvalidArgument("{}: '{}' is {}, want {}", what_, FullName(key), text, wanted);
  }

  const json::object& object_;
  std::string path_;
  std::string_view what_;
  absl::Status& status_;
  std::set<std::string, std::less<>> taken_;
};

void CheckNotEmpty(const std::string& value, const char* key, std::string_view what,
                   absl::Status& status) {
  if (status.ok() && value.empty()) {
    status = InvalidArgument("{}: '{}' is empty", what, key);
  }
}

// Two spaces of indent, a member a line: people read and edit these files.
void Print(const json::value& value, int indent, std::string& out) {
  const json::object* object = value.if_object();
  if (const double* number = value.if_double()) {
    out += fmt::format("{}", *number);  // 0.875, where Boost writes 8.75E-1
    return;
  }
  if (object == nullptr) {
    out += json::serialize(value);
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

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text,
                                             std::string_view what) {
  if (text.size() > kMaxFileBytes) {
    return InvalidArgument("{}: has {} bytes, the limit is {}", what, text.size(),
                           kMaxFileBytes);
  }
  json::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  const json::value root = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return InvalidArgument("{}: not JSON: {}", what, error.message());
  if (!root.is_object()) return InvalidArgument("{}: want a JSON object", what);

  absl::Status status;
  ObjectReader top(root.get_object(), "", what, status);
  // First, so that a later program's file is told apart from a broken one.
  const int schema = top.Int("schema_version", 1, INT32_MAX);
  if (status.ok() && schema != kSchemaVersion) {
    return InvalidArgument("{}: schema_version is {}, this program reads {}", what,
                           schema, kSchemaVersion);
  }
  ModelConfig config;
  config.title = top.String("title");

  ObjectReader input = top.Object("input");
  config.input = input.String("node");
  config.height = input.Int("height", 1, kMaxImageSize);
  config.width = input.Int("width", 1, kMaxImageSize);
  input.Finish();

  ObjectReader outputs = top.Object("outputs");
  config.logits = outputs.String("logits");
  config.predictions = outputs.String("predictions");
  config.aux_predictions = outputs.OptionalString("aux_predictions");
  config.features = outputs.OptionalString("features");
  outputs.Finish();

  ObjectReader classes = top.Object("classes");
  config.num_classes = classes.Int("count", 1, kMaxClasses);
  config.class_offset = classes.Int("offset", 0, 1);
  classes.Finish();

  ObjectReader preprocessing = top.Object("preprocessing");
  config.preprocessing.preset = preprocessing.String("preset");
  config.preprocessing.central_fraction =
      preprocessing.Double("central_fraction", 0, 1, 0.875);
  preprocessing.Finish();

  ObjectReader provenance = top.Object("provenance");
  config.provenance.network = provenance.String("network");
  config.provenance.source = provenance.String("source");
  config.provenance.checkpoint_sha256 = provenance.Sha256("checkpoint_sha256");
  config.provenance.license = provenance.String("license");
  config.provenance.accuracy = provenance.String("accuracy");
  provenance.Finish();

  config.model_sha256 = top.Sha256("model_sha256");
  top.Finish();

  CheckNotEmpty(config.input, "input.node", what, status);
  CheckNotEmpty(config.logits, "outputs.logits", what, status);
  CheckNotEmpty(config.predictions, "outputs.predictions", what, status);
  CheckNotEmpty(config.preprocessing.preset, "preprocessing.preset", what, status);
  RETURN_IF_ERROR(status);
  return config;
}

absl::StatusOr<ModelConfig> ReadModelConfig(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  return ParseModelConfig(text, path.string());
}

std::string FormatModelConfig(const ModelConfig& config) {
  json::object outputs = {{"logits", config.logits}, {"predictions", config.predictions}};
  if (config.aux_predictions) outputs["aux_predictions"] = *config.aux_predictions;
  if (config.features) outputs["features"] = *config.features;
  json::object preprocessing = {{"preset", config.preprocessing.preset}};
  if (config.preprocessing.preset == "inception") {
    preprocessing["central_fraction"] = config.preprocessing.central_fraction;
  }
  const json::object root = {
      {"schema_version", kSchemaVersion},
      {"title", config.title},
      {"input",
       {{"node", config.input}, {"height", config.height}, {"width", config.width}}},
      {"outputs", std::move(outputs)},
      {"classes", {{"count", config.num_classes}, {"offset", config.class_offset}}},
      {"preprocessing", std::move(preprocessing)},
      {"provenance",
       {{"network", config.provenance.network},
        {"source", config.provenance.source},
        {"checkpoint_sha256", config.provenance.checkpoint_sha256},
        {"license", config.provenance.license},
        {"accuracy", config.provenance.accuracy}}},
      {"model_sha256", config.model_sha256},
  };
  std::string text;
  Print(root, 0, text);
  text += '\n';
  return text;
}

}  // namespace oriel::model
