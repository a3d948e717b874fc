// Bicubic resizing with antialiasing, as Pillow's Image.resize(size, BICUBIC)
// does on 8-bit images (libImaging/Resample.c), to the bit: Keys' kernel with
// a = -0.5, widened by the reduction; weights in fixed point of 22 bits; two
// passes, along x first, each rounded and clipped to 8 bits.
#pragma once

#include "base/status.h"
#include "image/image.h"

namespace oriel::image {

// The `window` of `src` resized to height x width; only what the window needs is
// computed. src [H,W,C] with 1 to 4 channels, none of which is treated as alpha.
// kInvalidArgument when a size is not positive or the window is not inside.
// Thread-safe.
absl::StatusOr<Image> ResizeBicubicAntialiased(ImageView src, int height, int width,
                                               const Window& window);

// The whole of it.
absl::StatusOr<Image> ResizeBicubicAntialiased(ImageView src, int height, int width);

}  // namespace oriel::image
