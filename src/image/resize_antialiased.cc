#include "image/resize_antialiased.h"

#include <algorithm>
#include <cmath>

namespace oriel::image {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // 8 bits of pixel, 2 of overshoot
constexpr double kSupport = 2.0;            // half the kernel's width

double Cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// The weights of a run of results along one axis.
struct Taps {
  struct Span {
    int first;  // source pixel
    int count;  // weights
    size_t at;  // of the first weight
  };
  std::vector<Span> spans;
  std::vector<int32_t> weights;

  int first_pixel() const { return spans.front().first; }
  int end_pixel() const {
    int end = 0;
    for (const Span& span : spans) end = std::max(end, span.first + span.count);
    return end;
  }
};

// Results [first, first + count) of `out` from `in` pixels.
Taps MakeTaps(int in, int out, int first, int count) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  const double inverse = 1.0 / filter_scale;
  Taps taps;
  std::vector<double> kernel;
  for (int i = first; i < first + count; ++i) {
    const double center = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), in);
    kernel.clear();
    double sum = 0;
    for (int x = 0; x < end - begin; ++x) {
      const double weight = Cubic((x + begin - center + 0.5) * inverse);
      kernel.push_back(weight);
      sum += weight;
    }
    taps.spans.push_back({begin, end - begin, taps.weights.size()});
    for (double weight : kernel) {
      if (sum != 0.0) weight /= sum;
      const double fixed = weight * (1 << kPrecisionBits);
      taps.weights.push_back(static_cast<int>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return taps;
}

uint8_t RoundToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// Source rows [first_row, first_row + rows) resized along x.
template <int kChannels>
Image ResizeRows(ImageView src, int first_row, int rows, const Taps& taps) {
  Image dst{rows, static_cast<int>(taps.spans.size()), kChannels, {}};
  dst.pixels.resize(size_t(rows) * dst.width * kChannels);
  for (int y = 0; y < rows; ++y) {
    const uint8_t* row = src.row(first_row + y);
    uint8_t* to = dst.row(y);
    for (const Taps::Span& span : taps.spans) {
      const uint8_t* pixel = row + int64_t{span.first} * kChannels;
      const int32_t* weights = taps.weights.data() + span.at;
      int32_t sums[kChannels];
      std::fill_n(sums, kChannels, kHalf);
      for (int k = 0; k < span.count; ++k, pixel += kChannels) {
        for (int c = 0; c < kChannels; ++c) sums[c] += pixel[c] * weights[k];
      }
      for (int c = 0; c < kChannels; ++c) *to++ = RoundToByte(sums[c]);
    }
  }
  return dst;
}

// Resized along y. Row 0 of src is source pixel `offset` of the taps.
Image ResizeColumns(ImageView src, int offset, const Taps& taps) {
  const int row_size = src.width * src.channels;
  Image dst{static_cast<int>(taps.spans.size()), src.width, src.channels, {}};
  dst.pixels.resize(taps.spans.size() * row_size);
  std::vector<int32_t> sums(row_size);
  for (int y = 0; y < dst.height; ++y) {
    const Taps::Span& span = taps.spans[y];
    const int32_t* weights = taps.weights.data() + span.at;
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < span.count; ++k) {
      const uint8_t* row = src.row(span.first - offset + k);
      const int32_t weight = weights[k];
      for (int i = 0; i < row_size; ++i) sums[i] += row[i] * weight;
    }
    uint8_t* to = dst.row(y);
    for (int i = 0; i < row_size; ++i) to[i] = RoundToByte(sums[i]);
  }
  return dst;
}

Image ResizeRowsAny(ImageView src, int first_row, int rows, const Taps& taps) {
  switch (src.channels) {
    case 1:
      return ResizeRows<1>(src, first_row, rows, taps);
    case 2:
      return ResizeRows<2>(src, first_row, rows, taps);
    case 3:
      return ResizeRows<3>(src, first_row, rows, taps);
    default:
      return ResizeRows<4>(src, first_row, rows, taps);
  }
}

}  // namespace

absl::StatusOr<Image> ResizeBicubicAntialiased(ImageView src, int height, int width,
                                               const Window& window) {
  if (src.height < 1 || src.width < 1 || src.channels < 1 || src.channels > 4 ||
      height < 1 || width < 1) {
    return InvalidArgument(
        "resize of {} x {} x {} to {} x {}: want positive sizes, 1 to 4 channels",
        src.height, src.width, src.channels, height, width);
  }
  if (window.top < 0 || window.left < 0 || window.height < 1 || window.width < 1 ||
      window.height > height - window.top || window.width > width - window.left) {
    return InvalidArgument("window of {} x {} at {},{} is outside an image of {} x {}",
                           window.height, window.width, window.top, window.left, height,
                           width);
  }
  // An axis that keeps its size is not filtered.
  if (height == src.height) {
    const ImageView rows = src.Crop(window.top, 0, window.height, src.width);
    if (width == src.width) {
      return Copied(rows.Crop(0, window.left, window.height, window.width));
    }
    return ResizeRowsAny(rows, 0, window.height,
                         MakeTaps(src.width, width, window.left, window.width));
  }
  const Taps ys = MakeTaps(src.height, height, window.top, window.height);
  const int first_row = ys.first_pixel();
  if (width == src.width) {
    return ResizeColumns(src.Crop(0, window.left, src.height, window.width), 0, ys);
  }
  const Taps xs = MakeTaps(src.width, width, window.left, window.width);
  const Image rows = ResizeRowsAny(src, first_row, ys.end_pixel() - first_row, xs);
  return ResizeColumns(rows, first_row, ys);
}

absl::StatusOr<Image> ResizeBicubicAntialiased(ImageView src, int height, int width) {
  return ResizeBicubicAntialiased(src, height, width, {0, 0, height, width});
}

}  // namespace oriel::image
