#include "engine/ops/fused_conv.h"

#include <algorithm>
#include <cmath>

#include "engine/ref/kernels.h"

namespace oriel::engine::ref {
namespace {

// Channels summed at once: keeps the sums on the stack.
constexpr int64_t kBlock = 64;

// Between which two cells of `size` a cell of the resized image lies, and where. In
// float32 as TensorFlow 1's resize_bilinear.
struct Between {
  int64_t lower, upper;
  float fraction;
};

Between Locate(int64_t at, int64_t size, int64_t resized, bool align_corners) {
  const float scale = align_corners && resized > 1
                          ? (size - 1) / static_cast<float>(resized - 1)
                          : size / static_cast<float>(resized);
  const float place = at * scale;
  const float below = std::floor(place);
  const int64_t lower = std::min(static_cast<int64_t>(below), size - 1);
  return {lower, std::min(lower + 1, size - 1), place - below};
}

// The cell that the border shows at `at`, cells before the image being negative.
int64_t Mirror(int64_t at, int64_t size, PadMode mode) {
  const int64_t edge = mode == PadMode::kReflect ? 0 : 1;
  if (at < 0) return -at - edge;
  return at < size ? at : 2 * size - 2 - at + edge;
}

// The padded image, pixel by pixel.
class PaddedImage {
 public:
  PaddedImage(const FusedConvAttrs& attrs, const ConstArray& image)
      : attrs_(attrs), image_(image) {}

  // Chooses a pixel.
  void MoveTo(int64_t n, int64_t y, int64_t x) {
    const Shape& resized = attrs_.resized;
    y = Mirror(y - attrs_.pad.before[1], resized.dim(1), attrs_.pad.mode);
    x = Mirror(x - attrs_.pad.before[2], resized.dim(2), attrs_.pad.mode);
    Between rows{y, y, 0}, columns{x, x, 0};
    const int64_t height = image_.shape.dim(1), width = image_.shape.dim(2);
    if (attrs_.resizes) {
      rows = Locate(y, height, resized.dim(1), attrs_.align_corners);
      columns = Locate(x, width, resized.dim(2), attrs_.align_corners);
    }
    const auto at = [&](int64_t row, int64_t column) {
      return image_.as<float>() +
             ((n * height + row) * width + column) * image_.shape.dim(3);
    };
    top_left_ = at(rows.lower, columns.lower);
    top_right_ = at(rows.lower, columns.upper);
    bottom_left_ = at(rows.upper, columns.lower);
    bottom_right_ = at(rows.upper, columns.upper);
    y_ = rows.fraction;
    x_ = columns.fraction;
  }

  // Of the chosen pixel.
  float operator[](int64_t channel) const {
    if (!attrs_.resizes) return top_left_[channel];
    const float top =
        top_left_[channel] + (top_right_[channel] - top_left_[channel]) * x_;
    const float bottom =
        bottom_left_[channel] + (bottom_right_[channel] - bottom_left_[channel]) * x_;
    return top + (bottom - top) * y_;
  }

 private:
  const FusedConvAttrs& attrs_;
  const ConstArray& image_;
  const float *top_left_ = nullptr, *top_right_ = nullptr, *bottom_left_ = nullptr,
              *bottom_right_ = nullptr;
  float y_ = 0, x_ = 0;
};

// The window's place.
struct Place {
  int64_t image, y, x;
};

// dst[0, count) = output channels [first, first + count) at one place.
void SumAt(const FusedConvAttrs& attrs, PaddedImage& image, const ConstArray& filter,
           Place place, int64_t first, int64_t count, float* dst) {
  const Window& window = attrs.conv.window;
  const int64_t channels = filter.shape.dim(2), out_channels = filter.shape.dim(3);
  const int64_t group = first / (out_channels / attrs.conv.groups);
  double sums[kBlock] = {};
  for (int64_t kh = 0; kh < window.h.size; ++kh) {
    const int64_t y =
        place.y * window.h.stride - window.h.pad_before + kh * window.h.dilation;
    if (y < 0 || y >= window.h.src) continue;
    for (int64_t kw = 0; kw < window.w.size; ++kw) {
      const int64_t x =
          place.x * window.w.stride - window.w.pad_before + kw * window.w.dilation;
      if (x < 0 || x >= window.w.src) continue;
      image.MoveTo(place.image, y, x);
      const float* weights = filter.as<float>() +
                             (kh * window.w.size + kw) * channels * out_channels + first;
      for (int64_t c = 0; c < channels; ++c) {
        const double value = image[group * channels + c];
        const float* row = weights + c * out_channels;
        for (int64_t i = 0; i < count; ++i) sums[i] += value * row[i];
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) dst[i] = static_cast<float>(sums[i]);
}

}  // namespace

void FusedConv(const Op& op, Inputs in, Outputs out) {
  const auto& attrs = op.attrs_as<FusedConvAttrs>();
  const Shape& dst = out[0].shape;
  PaddedImage image(attrs, in[0]);
  const int64_t group_out = dst.dim(3) / attrs.conv.groups;
  float* to = out[0].as<float>();
  for (int64_t n = 0; n < dst.dim(0); ++n) {
    for (int64_t y = 0; y < dst.dim(1); ++y) {
      for (int64_t x = 0; x < dst.dim(2); ++x, to += dst.dim(3)) {
        for (int64_t first = 0; first < dst.dim(3);) {
          // Blocks end where groups do.
          const int64_t count = std::min(kBlock, group_out - first % group_out);
          SumAt(attrs, image, in[1], {n, y, x}, first, count, to + first);
          first += count;
        }
      }
    }
  }
}

}  // namespace oriel::engine::ref
