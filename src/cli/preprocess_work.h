// What `oriel preprocess` does to one image.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "cli/dataset_images.h"
#include "preprocessing/object_boxes.h"
#include "preprocessing/preprocess.h"
#include "preprocessing/train.h"

namespace oriel::cli {

struct PreprocessOptions {
  preprocessing::EvalOptions eval;  // preset and size, for training too
  // As slim's preprocess_for_train: `train`'s size is eval's.
  std::optional<preprocessing::TrainOptions> train;
  // Of some of the images; those without are looked at as a whole.
  std::shared_ptr<const preprocessing::ObjectBoxes> objects;
  uint64_t seed = 0;
  bool honor_exif = false;
};

// Reads, decodes and preprocesses image number `number` for the time `repeat`, into
// height * width * 3 floats. What is drawn depends on seed, number and repeat alone; it
// is returned, nullopt without training. Thread-safe; does not throw.
absl::StatusOr<std::optional<preprocessing::Augmentation>> PreprocessItem(
    const DatasetImage& image, size_t number, int repeat,
    const PreprocessOptions& options, std::span<float> dst);

// An object of JSON on a line: file, number, repeat, where it was put, label, and what
// was drawn.
std::string DescribeItem(const DatasetImage& image, size_t number, int repeat,
                         const std::string& output,
                         const std::optional<preprocessing::Augmentation>& drawn);

}  // namespace oriel::cli
