// Image files to pixels: JPEG, PNG, GIF, BMP, WebP, found by their first bytes.
//
// Pixels are those of TensorFlow's tf.io.decode_image / decode_jpeg /
// decode_png / decode_bmp to the bit; docs/formats/images.md lists the rules and
// the few places where Oriel reads what TensorFlow refuses.
//
// Memory is bounded before it is allocated: by max_pixels, and by the number of
// pixels that so many bytes of the format can hold at all.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "image/image.h"

namespace oriel::image {

enum class Format { kUnknown, kJpeg, kPng, kGif, kBmp, kWebp };

// "JPEG", ..., "unknown".
std::string_view FormatName(Format format);

// By the first bytes alone; kUnknown is none of them.
Format SniffFormat(Bytes bytes);

// The inverse DCT of JPEG.
enum class DctMethod {
  kDefault,          // kIntegerFast, as TensorFlow chooses
  kIntegerFast,      // libjpeg's JDCT_IFAST
  kIntegerAccurate,  // JDCT_ISLOW: what Pillow and browsers use
};

struct DecodeOptions {
  // Channels of the result: 1 gray, 3 RGB, 4 RGBA, 0 as the file has them (a PNG
  // may then have 2: gray and alpha). JPEG gives 0, 1, 3; PNG all; GIF 0, 3; BMP
  // and WebP 0, 3, 4. Alpha is dropped, never blended.
  int channels = 3;

  // Turn and mirror the image the way its EXIF orientation says. TensorFlow does
  // not. A damaged EXIF block counts as none.
  bool honor_exif = false;

  // Refuse images of more pixels (width * height, of the canvas for GIF and
  // WebP) before allocating. Beside it no image has 2^29 or more samples.
  uint64_t max_pixels = uint64_t{100} << 20;

  // JPEG only.
  DctMethod dct_method = DctMethod::kDefault;
  bool fancy_upscaling = true;         // triangle filter for chroma
  bool try_recover_truncated = false;  // rows that are missing repeat the last one
};

// The image, or the first frame of an animation. Thread-safe.
// kInvalidArgument for bytes that are no such image: unknown format, damaged or
// cut off, too large, channels that the format does not give. The message says
// what was found and what was wanted, but not where the bytes came from.
absl::StatusOr<Image> Decode(Bytes bytes, const DecodeOptions& options);

// Tells which part of an image of height x width pixels is wanted; an error ends the
// decoding with it.
using ChoosePart = std::function<absl::StatusOr<Window>(int height, int width)>;

// The part of the image that `choose` names once the size is known: the same pixels as
// that part of what Decode gives, and the same errors. The other pixels of a baseline
// JPEG are not computed; progressive ones, other formats, and images that EXIF turns, are
// decoded whole.
absl::StatusOr<Image> DecodePart(Bytes bytes, const DecodeOptions& options,
                                 const ChoosePart& choose);

// All frames of an animated GIF as TensorFlow composes them, each on top of
// the one before; an image that is not a GIF gives one frame. max_pixels bounds
// the pixels of all frames together.
absl::StatusOr<std::vector<Image>> DecodeFrames(Bytes bytes,
                                                const DecodeOptions& options);

// A PNG with 16 bits a sample (tf.io.decode_png, dtype uint16); 8-bit samples v
// become 257 * v. honor_exif is not looked at.
absl::StatusOr<Image16> DecodePng16(Bytes bytes, const DecodeOptions& options);

}  // namespace oriel::image
