// calibration.json: what `oriel calibrate` found out about a model, beside its
// model.pb. docs/formats/calibration_json.md documents the schema.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/quantize/calibration.h"

namespace oriel::model {

inline constexpr char kCalibrationFile[] = "calibration.json";

struct CalibrationFile {
  std::string model_sha256;  // of the model.pb that it is of
  std::string method;        // of the ranges: "minmax", "percentile 99.99", "mse"
  int images = 0;
  engine::Calibration calibration;
};

// kInvalidArgument that names the file and the key: unknown, missing, of the wrong
// type, out of range.
absl::StatusOr<CalibrationFile> ParseCalibration(std::string_view json,
                                                 std::string_view what);
absl::StatusOr<CalibrationFile> ReadCalibration(const std::filesystem::path& path);

// Bias corrections are kept to a thousandth of their operation's largest: parsing
// gives back what was formatted, but for that.
std::string FormatCalibration(const CalibrationFile& file);

}  // namespace oriel::model
