// Images to PNG files.
#pragma once

#include <string>

#include "base/status.h"
#include "image/image.h"

namespace oriel::image {

// A PNG with 8 bits a sample: gray, RGB or RGBA by the image's 1, 3 or 4 channels. The
// same pixels give the same bytes. kInvalidArgument for other channels, or no pixels.
// Thread-safe.
absl::StatusOr<std::string> EncodePng(ImageView image);

}  // namespace oriel::image
