#include "model/calibration_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "model/json_reader.h"

namespace oriel::model {
namespace {

namespace json = boost::json;

constexpr int kSchemaVersion = 1;
constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;
constexpr size_t kMaxNames = 100'000;
constexpr size_t kMaxChannels = 1'000'000;
constexpr int kMaxImages = 100'000'000;
// The shortest decimal of the largest float32 lies a little above it.
constexpr double kMaxFloat = 3.4028235e38;
constexpr int kCorrectionSteps = 1000;

// The double that reads like the float: 0.1, not 0.10000000149011612.
double Short(float value) {
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}

json::string_view Key(const std::string& name) { return {name.data(), name.size()}; }

json::array CorrectionSteps(const std::vector<float>& values, float step) {
  json::array steps;
  for (const float value : values) {
    steps.push_back(static_cast<int64_t>(std::lround(value / step)));
  }
  return steps;
}

json::object FormatCorrection(const std::vector<float>& values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  const float step = most > 0 ? most / kCorrectionSteps : 1;
  return {{"step", Short(step)}, {"steps", CorrectionSteps(values, step)}};
}

// Takes the rest of the members.
void ParseAgreement(ObjectReader& reader, engine::Agreement& agreement) {
  agreement.images = reader.Int("images", 1, kMaxImages);
  agreement.top1 = reader.Number("top1", 0, 1);
  agreement.logits_rms = reader.Number("logits_rms", 0, kMaxFloat);
  reader.Finish();
}

void FormatAgreement(const engine::Agreement& agreement, json::object& object) {
  object["images"] = agreement.images;
  object["top1"] = agreement.top1;
  object["logits_rms"] = Short(static_cast<float>(agreement.logits_rms));
}

void ParseRanges(ObjectReader ranges, engine::Calibration& calibration,
                 std::string_view what, absl::Status& status) {
  for (const std::string& name : ranges.Names(kMaxNames)) {
    const std::vector<double> ends = ranges.Numbers(name, 2, 2);
    if (!status.ok()) return;
    if (ends[0] > ends[1] || std::abs(ends[0]) > kMaxFloat ||
        std::abs(ends[1]) > kMaxFloat) {
      status = InvalidArgument("{}: 'ranges.{}' is {} to {}, want a range of float32",
                               what, name, ends[0], ends[1]);
      return;
    }
    calibration.ranges[name] = {static_cast<float>(ends[0]), static_cast<float>(ends[1])};
  }
}

void ParseCorrections(ObjectReader corrections, engine::Calibration& calibration,
                      absl::Status& status) {
  for (const std::string& name : corrections.Names(kMaxNames)) {
    ObjectReader correction = corrections.Object(name);
    const auto step = static_cast<float>(correction.Number("step", 0, 1e30));
    std::vector<float> values;
    for (const double number : correction.Numbers("steps", 1, kMaxChannels)) {
      values.push_back(static_cast<float>(std::clamp<double>(number, -kCorrectionSteps,
                                                             kCorrectionSteps)) *
                       step);
    }
    correction.Finish();
    if (!status.ok()) return;
    calibration.bias_corrections[name] = std::move(values);
  }
}

}  // namespace

absl::StatusOr<CalibrationFile> ParseCalibration(std::string_view text,
                                                 std::string_view what) {
  ASSIGN_OR_RETURN(const json::value root, ParseJsonObject(text, what, kMaxFileBytes));
  absl::Status status;
  ObjectReader top(root.get_object(), "", what, status);
  const int schema = top.Int("schema_version", 1, INT32_MAX);
  if (status.ok() && schema != kSchemaVersion) {
    return InvalidArgument("{}: schema_version is {}, this program reads {}", what,
                           schema, kSchemaVersion);
  }
  CalibrationFile file;
  engine::Calibration& calibration = file.calibration;
  file.model_sha256 = top.Sha256("model_sha256");
  file.method = top.String("method");
  file.images = top.Int("images", 1, kMaxImages);
  for (ObjectReader& reader : top.Objects("agreements", 2)) {
    engine::Int8Agreement agreement;
    agreement.activation_bits = reader.Int("activation_bits", 7, 8);
    ParseAgreement(reader, agreement);
    calibration.agreements.push_back(agreement);
  }
  if (top.Has("bf16")) {
    ObjectReader reader = top.Object("bf16");
    ParseAgreement(reader, calibration.bf16.emplace());
  }
  for (std::string& name : top.Strings("wider", kMaxNames)) {
    calibration.wider.insert(std::move(name));
  }
  ObjectReader sensitivities = top.Object("sensitivities");
  for (const std::string& name : sensitivities.Names(kMaxNames)) {
    calibration.sensitivities.push_back({name, sensitivities.Number(name, 0, kMaxFloat)});
  }
  std::stable_sort(
      calibration.sensitivities.begin(), calibration.sensitivities.end(),
      [](const auto& a, const auto& b) { return a.logits_rms > b.logits_rms; });
  ParseRanges(top.Object("ranges"), calibration, what, status);
  ParseCorrections(top.Object("bias_corrections"), calibration, status);
  top.Finish();
  RETURN_IF_ERROR(status);
  return file;
}

absl::StatusOr<CalibrationFile> ReadCalibration(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  return ParseCalibration(text, path.string());
}

std::string FormatCalibration(const CalibrationFile& file) {
  const engine::Calibration& calibration = file.calibration;
  json::array agreements;
  for (const engine::Int8Agreement& agreement : calibration.agreements) {
    json::object object = {{"activation_bits", agreement.activation_bits}};
    FormatAgreement(agreement, object);
    agreements.push_back(std::move(object));
  }
  json::array wider;
  for (const std::string& name : calibration.wider) wider.emplace_back(name);
  json::object sensitivities, ranges, corrections;
  for (const engine::Sensitivity& sensitivity : calibration.sensitivities) {
    sensitivities[Key(sensitivity.op)] =
        Short(static_cast<float>(sensitivity.logits_rms));
  }
  for (const auto& [name, range] : calibration.ranges) {
    ranges[Key(name)] = json::array({Short(range.low), Short(range.high)});
  }
  for (const auto& [name, values] : calibration.bias_corrections) {
    corrections[Key(name)] = FormatCorrection(values);
  }
  json::object root = {{"schema_version", kSchemaVersion},
                       {"model_sha256", file.model_sha256},
                       {"method", file.method},
                       {"images", file.images},
                       {"agreements", std::move(agreements)}};
  if (calibration.bf16) FormatAgreement(*calibration.bf16, root["bf16"].emplace_object());
  root["wider"] = std::move(wider);
  root["sensitivities"] = std::move(sensitivities);
  root["ranges"] = std::move(ranges);
  root["bias_corrections"] = std::move(corrections);
  return PrintJson(root);
}

}  // namespace oriel::model
