// A picture of what preprocessing makes of images, to look at.
#pragma once

#include <span>
#include <string>

#include "base/status.h"
#include "cli/dataset_images.h"
#include "cli/preprocess_work.h"

namespace oriel::cli {

struct SheetOptions {
  std::string path;  // of the PNG
  int rows = 8;      // images, the first that are readable
  int columns = 8;   // times each is augmented: the first of those that are written
  int threads = 1;
};

// A row for each image: on the left the whole image as evaluation without a crop would
// resize it, then what preprocessing makes of it. Written atomically. kInvalidArgument
// for a sheet of over 2^28 pixels, or when no image is readable.
absl::Status WriteContactSheet(std::span<const DatasetImage> images,
                               const PreprocessOptions& options,
                               const SheetOptions& sheet);

}  // namespace oriel::cli
