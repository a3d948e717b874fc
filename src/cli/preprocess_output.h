// Where `oriel preprocess` puts preprocessed images.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/dataset_images.h"
#include "preprocessing/preprocess.h"

namespace oriel::cli {

enum class OutputFormat {
  kNpyFiles,  // a folder with a .npy [height,width,3] for each image
  kNpyStack,  // one .npy [images,height,width,3], and NAME.labels.npy
  kTfRecord,  // PATH-00000-of-00008, ...
  kPng,       // a folder of pictures, to look at
};

// What a TFRecord's examples hold of the pixels.
enum class RecordPixels {
  kFloat,  // image/data, a list of floats
  kRaw,    // image/data, the bytes of little-endian floats
  kPng,    // image/encoded and image/format, rounded to 8 bits
};

struct OutputOptions {
  OutputFormat format = OutputFormat::kNpyStack;
  std::string path;
  int shards = 1;
  RecordPixels record_pixels = RecordPixels::kFloat;
  preprocessing::Preset preset = preprocessing::Preset::kInception;
  int height = 0;
  int width = 0;
  int repeat = 1;    // times each image comes
  size_t items = 0;  // images, each `repeat` times
};

// One preprocessed image.
struct OutputItem {
  const DatasetImage& image;
  int repeat;       // which time
  size_t position;  // among all items; what is unreadable has one too
};

// Encode is called by many threads at once, the others by one, Write in order of
// position.
class PreprocessOutput {
 public:
  // `dataset` outlives it. Errors of files that cannot be made are told before work
  // begins.
  static absl::StatusOr<std::unique_ptr<PreprocessOutput>> Create(
      const OutputOptions& options, const Dataset& dataset);
  virtual ~PreprocessOutput() = default;

  // What Write takes.
  virtual absl::StatusOr<std::string> Encode(const OutputItem& item,
                                             std::span<const float> pixels) const = 0;
  // Returns where the item is: a file, with its number in it where that holds several.
  virtual absl::StatusOr<std::string> Write(const OutputItem& item,
                                            std::string bytes) = 0;
  // Makes files of several items appear. Without it they never do.
  virtual absl::Status Finish() = 0;
};

}  // namespace oriel::cli
