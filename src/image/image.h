// Decoded images in memory: 8 (or 16) bits a channel, [height,width,channels],
// channels interleaved, rows from the top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace oriel::image {

// A rectangle of pixels.
struct Window {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;

  bool operator==(const Window&) const = default;

  // Whether it has pixels and all of them are those of an image of that size.
  bool IsInside(int image_height, int image_width) const {
    return top >= 0 && left >= 0 && height >= 1 && width >= 1 && height <= image_height &&
           width <= image_width && top <= image_height - height &&
           left <= image_width - width;
  }
};

// Borrowed pixels; rows may lie apart (a crop of a wider image). Valid as long
// as what it views.
template <typename T>
struct BasicView {
  const T* data = nullptr;
  int height = 0;
  int width = 0;
  int channels = 0;
  int64_t row_stride = 0;  // elements from the start of a row to the next one's

  const T* row(int y) const { return data + y * row_stride; }

  // The rectangle, which lies inside the view.
  BasicView Crop(int top, int left, int crop_height, int crop_width) const {
    return {row(top) + int64_t{left} * channels, crop_height, crop_width, channels,
            row_stride};
  }
  BasicView Crop(const Window& window) const {
    return Crop(window.top, window.left, window.height, window.width);
  }
};

// An owned image. pixels.size() is height * width * channels.
template <typename T>
struct BasicImage {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<T> pixels;

  T* row(int y) { return pixels.data() + int64_t{y} * width * channels; }

  operator BasicView<T>() const {  // NOLINT(google-explicit-constructor)
    return {pixels.data(), height, width, channels, int64_t{width} * channels};
  }
};

// A copy in a piece of its own.
template <typename T>
BasicImage<T> Copied(BasicView<T> src) {
  BasicImage<T> image{src.height, src.width, src.channels, {}};
  const size_t row_size = size_t(src.width) * src.channels;
  image.pixels.reserve(row_size * src.height);
  for (int y = 0; y < src.height; ++y) {
    image.pixels.insert(image.pixels.end(), src.row(y), src.row(y) + row_size);
  }
  return image;
}

using ImageView = BasicView<uint8_t>;
using FloatView = BasicView<float>;
using Image = BasicImage<uint8_t>;
using Image16 = BasicImage<uint16_t>;

}  // namespace oriel::image
