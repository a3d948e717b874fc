// Sizes that evaluation and training share. Private to preprocessing/.
#pragma once

#include <span>

#include "base/status.h"
#include "image/image.h"
#include "preprocessing/preprocess.h"

namespace oriel::preprocessing {

// kInvalidArgument unless image is RGB and dst holds height x width x 3 floats.
inline absl::Status CheckSizes(image::ImageView image, int height, int width,
                               std::span<const float> dst) {
  if (image.channels != 3 || image.height < 1 || image.width < 1) {
    return InvalidArgument("preprocessing of {} x {} x {} pixels, want RGB", image.height,
                           image.width, image.channels);
  }
  if (height < 1 || width < 1 || height > kLargestSide || width > kLargestSide) {
    return InvalidArgument("preprocessing to {} x {}, want 1 to {}", height, width,
                           kLargestSide);
  }
  if (dst.size() != size_t(height) * width * 3) {
    return InvalidArgument("preprocessing to {} x {} x 3 into {} elements", height, width,
                           dst.size());
  }
  return absl::OkStatus();
}

// tf.image.central_crop of one axis.
struct Part {
  int start;
  int size;
};
inline Part CentralPart(int size, double fraction) {
  const int start = static_cast<int>((size - size * fraction) / 2);
  return {start, size - 2 * start};
}

}  // namespace oriel::preprocessing
