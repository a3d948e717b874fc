// Resizing as TensorFlow does (tf.compat.v1.image.resize_images; kernels
// resize_{bilinear,nearest_neighbor,bicubic,area}_op.cc): no antialiasing, every
// step in float32.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/status.h"
#include "image/image.h"

namespace oriel::image {

enum class ResizeMethod { kBilinear, kNearest, kBicubic, kArea };

// Where the pixels of the result lie in the source.
enum class PixelGrid {
  kLegacy,            // x * in / out: TensorFlow 1's default
  kAlignCorners,      // x * (in - 1) / (out - 1): corners on corners
  kHalfPixelCenters,  // (x + 0.5) * in / out - 0.5: TensorFlow 2, OpenCV
};

// src [H,W,C] float32, borrowed -> dst [height,width,C], whole and written in
// place. kInvalidArgument when a size is not positive, dst has not
// height * width * C elements, or for kArea with kHalfPixelCenters, which
// TensorFlow does not have. Thread-safe.
absl::Status Resize(FloatView src, ResizeMethod method, PixelGrid grid, int height,
                    int width, std::span<float> dst);

// What each byte counts as.
using ByteValues = std::array<float, 256>;

// The same straight from bytes, in which byte b counts as values[b]: the result is that
// of resizing the converted image, which is not made.
absl::Status Resize(ImageView src, const ByteValues& values, ResizeMethod method,
                    PixelGrid grid, int height, int width, std::span<float> dst);

}  // namespace oriel::image
