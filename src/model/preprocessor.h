// Image bytes to a model's input, as its config says.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "model/model_config.h"
#include "preprocessing/preprocess.h"

namespace oriel::model {

// Immutable and thread-safe.
class Preprocessor {
 public:
  // `max_pixels` of one image, before decoding.
  static absl::StatusOr<Preprocessor> Create(const ModelConfig& config,
                                             uint64_t max_pixels);

  // Floats of one preprocessed image: height * width * 3.
  size_t elements() const { return size_t{3} * options_.height * options_.width; }

  // `honor_exif`: turn a photo the way its EXIF orientation says. dst: elements()
  // floats, [height,width,3]. kInvalidArgument for bytes that are no image that Oriel
  // reads.
  absl::Status Run(Bytes image, bool honor_exif, std::span<float> dst) const;

 private:
  Preprocessor(preprocessing::EvalOptions options, uint64_t max_pixels)
      : options_(options), max_pixels_(max_pixels) {}

  preprocessing::EvalOptions options_;
  uint64_t max_pixels_;
};

}  // namespace oriel::model
