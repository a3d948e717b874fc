// The text files of a model directory: oriel.json, calibration.json and labels.

#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "base/utf8.h"
#include "labels/labels.h"
#include "model/calibration_file.h"
#include "model/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = oriel::AsStringView({data, size});
  const auto config = oriel::model::ParseModelConfig(text, "oriel.json");
  if (config.ok()) {
    // What was read is written in a form that reads the same.
    const std::string written = oriel::model::FormatModelConfig(*config);
    const auto again = oriel::model::ParseModelConfig(written, "again");
    if (!again.ok() || oriel::model::FormatModelConfig(*again) != written) std::abort();
  }
  const auto calibration = oriel::model::ParseCalibration(text, "calibration.json");
  if (calibration.ok()) {
    const std::string written = oriel::model::FormatCalibration(*calibration);
    const auto again = oriel::model::ParseCalibration(written, "again");
    if (!again.ok() || again->calibration.ranges != calibration->calibration.ranges) {
      std::abort();
    }
  }
  const auto lines = oriel::labels::ParseDescriptions(text, "descriptions.txt");
  if (lines.ok()) {
    const auto again =
        oriel::labels::ParseDescriptions(oriel::labels::FormatLines(*lines), "again");
    if (!again.ok() || *again != *lines) std::abort();
  }
  oriel::labels::ParseWnids(text, "wnids.txt").IgnoreError();
  oriel::labels::ParseMetadata(text, "metadata.txt").IgnoreError();
  if (oriel::FindInvalidUtf8(oriel::Printable(text))) std::abort();
  return 0;
}
