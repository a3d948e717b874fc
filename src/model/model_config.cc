#include "model/model_config.h"

#include "base/files.h"
#include "model/json_reader.h"

namespace oriel::model {
namespace {

namespace json = boost::json;

constexpr int kSchemaVersion = 1;
constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr int kMaxImageSize = 4096;
constexpr int kMaxClasses = 10'000'000;

void CheckNotEmpty(const std::string& value, const char* key, std::string_view what,
                   absl::Status& status) {
  if (status.ok() && value.empty()) {
    status = InvalidArgument("{}: '{}' is empty", what, key);
  }
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(std::string_view text,
                                             std::string_view what) {
  ASSIGN_OR_RETURN(const json::value root, ParseJsonObject(text, what, kMaxFileBytes));
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
  return PrintJson(root);
}

}  // namespace oriel::model
