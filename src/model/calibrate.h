// Finding out how to run a model in int8 and bf16, from images like those that it will
// see.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"
#include "engine/quantize/calibration.h"
#include "model/calibration_file.h"
#include "model/classify_images.h"
#include "model/weights.h"

namespace oriel::model {

enum class RangeMethod {
  kMinMax,      // all that was seen
  kPercentile,  // all but the outermost
  kMse,         // the range of least mean square error
};

struct CalibrateOptions {
  RangeMethod method = RangeMethod::kMse;
  double percentile = 99.99;
  // Of the images: evenly spaced ones where there are more. They are kept in memory.
  int max_images = 200;
  bool honor_exif = true;
  bool bias_correction = true;
  // The most sensitive operations, so many, stay float32; the first and the last always
  // do.
  int keep_wider = 0;
  // More of them stay float32 until the top-1 agreement reaches this, or half of them do.
  double guard = engine::kDefaultGuard;
  // Images of the sensitivity scan; 0: only where the guard or keep_wider needs one, then
  // on 4.
  int scan_images = 4;
  int threads = 0;
  bool quiet = false;  // no progress bars
};

struct Calibrated {
  CalibrationFile file;
  int quantized = 0;  // operations
  int quantizable = 0;
};

// Runs the model on the images: ranges of the values (MinMax in one pass, else
// histograms in a second), the means of their channels for the bias corrections, each
// operation's sensitivity with it alone quantized, and the agreement of the whole, in
// int8 and in bf16. Both are computed as Plan does it here, simulated where the machine
// has no kernels for them. `log` gets a line for each step, and for each image that
// cannot be read (those are left out).
//
// kInvalidArgument where no image can be read, the graph has nothing to quantize or
// computes numbers that are not finite; kCancelled after Ctrl-C.
absl::StatusOr<Calibrated> Calibrate(const std::filesystem::path& version_directory,
                                     std::span<const ImageInput> images,
                                     const CalibrateOptions& options, const StepLog& log);

}  // namespace oriel::model
