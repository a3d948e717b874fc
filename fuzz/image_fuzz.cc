// Any bytes to all image codecs, in all their modes.

#include <cstdlib>

#include "image/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using oriel::image::DecodeOptions;
  using oriel::image::ImageView;
  const oriel::Bytes bytes{data, size};
  DecodeOptions options;
  options.max_pixels = 1 << 20;
  options.honor_exif = true;
  // The modes come from the input's own bytes, so that a find replays alone.
  const unsigned mode = size == 0 ? 0 : data[size / 2];
  constexpr int kChannels[] = {0, 1, 3, 4};
  options.channels = kChannels[mode & 3];
  options.try_recover_truncated = (mode & 4) != 0;
  options.fancy_upscaling = (mode & 8) != 0;

  const auto image = oriel::image::Decode(bytes, options);
  if (image.ok() &&
      image->pixels.size() != size_t(image->height) * image->width * image->channels) {
    std::abort();
  }
  // A part is that part of the whole, and fails where the whole does.
  oriel::image::Window window;
  const auto part = oriel::image::DecodePart(bytes, options, [&](int height, int width) {
    window.height = 1 + static_cast<int>(mode % height);
    window.width = 1 + static_cast<int>(mode / 2 % width);
    window.top = static_cast<int>(mode / 3 % (height - window.height + 1));
    window.left = static_cast<int>(mode / 5 % (width - window.width + 1));
    return window;
  });
  if (part.ok() != image.ok()) std::abort();
  if (part.ok() && part->pixels != Copied(ImageView(*image).Crop(window)).pixels) {
    std::abort();
  }
  switch (oriel::image::SniffFormat(bytes)) {
    case oriel::image::Format::kGif:
      if (const auto frames = oriel::image::DecodeFrames(bytes, options);
          frames.ok() && frames->empty()) {
        std::abort();
      }
      break;
    case oriel::image::Format::kPng:
      if (const auto wide = oriel::image::DecodePng16(bytes, options);
          wide.ok() && wide->pixels.empty()) {
        std::abort();
      }
      break;
    default:
      break;
  }
  return 0;
}
