// Random parts of images, as TensorFlow's sample_distorted_bounding_box draws them
// (sample_distorted_bounding_box_op.cc): from the same random words the same box.
#pragma once

#include <span>

#include "base/philox.h"
#include "base/status.h"
#include "image/image.h"

namespace oriel::preprocessing {

using PixelBox = image::Window;

// Where an object is, in fractions of the image's height and width, each in [0,1].
struct RelativeBox {
  float ymin = 0;
  float xmin = 0;
  float ymax = 1;
  float xmax = 1;
};

// The defaults are slim's (distorted_bounding_box_crop).
struct DistortedBoxOptions {
  float min_object_covered = 0.1f;  // share of one of the objects, in [0,1]
  float min_aspect_ratio = 0.75f;   // width / height
  float max_aspect_ratio = 1.33f;
  float min_area = 0.05f;  // share of the image, in (0,1]
  float max_area = 1.0f;
  int max_attempts = 100;
};

// kInvalidArgument when a range is upside down, not finite or out of bounds, or
// max_attempts is not positive.
absl::Status CheckDistortedBoxOptions(const DistortedBoxOptions& options);

// A box of random shape, size and place that covers enough of at least one of
// `objects`; without objects the whole image is one. Where max_attempts give none it is
// the whole image. kInvalidArgument for a size below 1 or over 2^24, for coordinates
// outside [0,1], or by CheckDistortedBoxOptions. Thread-safe.
absl::StatusOr<PixelBox> SampleDistortedBoundingBox(int height, int width,
                                                    std::span<const RelativeBox> objects,
                                                    const DistortedBoxOptions& options,
                                                    RandomStream& random);

}  // namespace oriel::preprocessing
