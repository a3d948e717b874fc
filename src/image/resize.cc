#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace oriel::image {
namespace {

// Source coordinates of one axis.
class Axis {
 public:
  Axis(PixelGrid grid, int in, int out)
      : half_pixel_(grid == PixelGrid::kHalfPixelCenters),
        scale_(grid == PixelGrid::kAlignCorners && out > 1
                   ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                   : static_cast<float>(in) / static_cast<float>(out)) {}

  float scale() const { return scale_; }
  float At(int i) const {
    const float x = static_cast<float>(i);
    return half_pixel_ ? (x + 0.5f) * scale_ - 0.5f : x * scale_;
  }
  // Nearest neighbour looks at the pixel that holds the centre.
  float NearestAt(int i) const {
    const float x = static_cast<float>(i);
    return half_pixel_ ? (x + 0.5f) * scale_ : x * scale_;
  }

 private:
  bool half_pixel_;
  float scale_;
};

int Clamp(int64_t i, int size) {
  return static_cast<int>(std::clamp<int64_t>(i, 0, size - 1));
}

template <typename T>
absl::Status CheckArguments(BasicView<T> src, int height, int width,
                            std::span<const float> dst) {
  if (src.height < 1 || src.width < 1 || src.channels < 1 || height < 1 || width < 1) {
    return InvalidArgument("resize of {} x {} x {} to {} x {}: want positive sizes",
                           src.height, src.width, src.channels, height, width);
  }
  const uint64_t want = uint64_t(height) * width * src.channels;
  if (dst.size() != want) {
    return InvalidArgument("resize to {} x {} x {} into {} elements, want {}", height,
                           width, src.channels, dst.size(), want);
  }
  return absl::OkStatus();
}

// ---- bilinear

struct LinearTap {
  int lower;
  int upper;
  float lerp;  // weight of upper
};

std::vector<LinearTap> LinearTaps(const Axis& axis, int in, int out) {
  std::vector<LinearTap> taps(out);
  for (int i = 0; i < out; ++i) {
    const float at = axis.At(i);
    const float floor = std::floor(at);
    const int upper = Clamp(static_cast<int64_t>(std::ceil(at)), in);
    taps[i] = {std::min(Clamp(static_cast<int64_t>(floor), in), upper), upper,
               at - floor};
  }
  return taps;
}

// One source row resized along x. kChannels 0: any number of them.
template <int kChannels, typename T, typename Value>
void LerpRow(const T* row, int channels, std::span<const LinearTap> taps, Value value,
             float* to) {
  const int n = kChannels == 0 ? channels : kChannels;
  for (const LinearTap& tap : taps) {
    const T* lower = row + int64_t{tap.lower} * n;
    const T* upper = row + int64_t{tap.upper} * n;
    for (int c = 0; c < n; ++c) {
      const float left = value(lower[c]);
      *to++ = left + (value(upper[c]) - left) * tap.lerp;
    }
  }
}

template <typename T, typename Value>
void Bilinear(BasicView<T> src, PixelGrid grid, int height, int width, Value value,
              float* dst) {
  const auto xs = LinearTaps(Axis(grid, src.width, width), src.width, width);
  const auto ys = LinearTaps(Axis(grid, src.height, height), src.height, height);
  const size_t row_size = size_t(width) * src.channels;
  // Two source rows at a time; enlarging uses each of them many times.
  std::vector<float> memory(2 * row_size);
  float* rows[2] = {memory.data(), memory.data() + row_size};
  int held[2] = {-1, -1};
  const auto fill = [&](int slot, int y) {
    if (held[slot] == y) return;
    if (src.channels == 3) {
      LerpRow<3>(src.row(y), 3, xs, value, rows[slot]);
    } else {
      LerpRow<0>(src.row(y), src.channels, xs, value, rows[slot]);
    }
    held[slot] = y;
  };
  for (const LinearTap& y : ys) {
    if (held[1] == y.lower) {
      std::swap(rows[0], rows[1]);
      std::swap(held[0], held[1]);
    }
    fill(0, y.lower);
    fill(1, y.upper);
    const float* top = rows[0];
    const float* bottom = rows[1];
    for (size_t i = 0; i < row_size; ++i) {
      dst[i] = top[i] + (bottom[i] - top[i]) * y.lerp;
    }
    dst += row_size;
  }
}

// ---- nearest

std::vector<int> NearestTaps(PixelGrid grid, int in, int out) {
  const Axis axis(grid, in, out);
  std::vector<int> taps(out);
  for (int i = 0; i < out; ++i) {
    const float at = axis.NearestAt(i);
    const float pixel =
        grid == PixelGrid::kAlignCorners ? std::round(at) : std::floor(at);
    taps[i] = Clamp(static_cast<int64_t>(pixel), in);
  }
  return taps;
}

template <typename T, typename Value>
void Nearest(BasicView<T> src, PixelGrid grid, int height, int width, Value value,
             float* dst) {
  const auto xs = NearestTaps(grid, src.width, width);
  const auto ys = NearestTaps(grid, src.height, height);
  for (const int y : ys) {
    for (const int x : xs) {
      const T* pixel = src.row(y) + int64_t{x} * src.channels;
      for (int c = 0; c < src.channels; ++c) *dst++ = value(pixel[c]);
    }
  }
}

// ---- bicubic

struct CubicTap {
  std::array<int, 4> pixels;
  std::array<float, 4> weights;
};

// TensorFlow rounds positions to 1/1024 of a pixel and takes the kernel from a
// table; a is -0.75, with half-pixel centres Keys' -0.5.
constexpr int kCubicSteps = 1024;

float CubicNear(double a, float x) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
float CubicFar(double a, float x) {
  x += 1;
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

std::vector<CubicTap> CubicTaps(PixelGrid grid, int in, int out) {
  const bool keys = grid == PixelGrid::kHalfPixelCenters;
  const double a = keys ? -0.5 : -0.75;
  const Axis axis(grid, in, out);
  std::vector<CubicTap> taps(out);
  for (int i = 0; i < out; ++i) {
    const float at = axis.At(i);
    const int64_t pixel = static_cast<int64_t>(std::floor(at));
    const float delta = at - static_cast<float>(pixel);
    const auto step = std::lrint(delta * kCubicSteps);
    const float x = static_cast<float>(step * 1.0 / kCubicSteps);
    const float rest = static_cast<float>((kCubicSteps - step) * 1.0 / kCubicSteps);
    CubicTap& tap = taps[i];
    tap.weights = {CubicFar(a, x), CubicNear(a, x), CubicNear(a, rest),
                   CubicFar(a, rest)};
    for (int k = 0; k < 4; ++k) tap.pixels[k] = Clamp(pixel - 1 + k, in);
    if (!keys) continue;
    // Pixels past the border count for nothing instead of repeating the edge.
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
      if (tap.pixels[k] != pixel - 1 + k) tap.weights[k] = 0;
      sum += tap.weights[k];
    }
    if (std::abs(sum) >= 1000 * std::numeric_limits<float>::min()) {
      const float one_over_sum = 1 / sum;
      for (float& weight : tap.weights) weight *= one_over_sum;
    }
  }
  return taps;
}

float Weigh(const std::array<float, 4>& w, float a, float b, float c, float d) {
  return a * w[0] + b * w[1] + c * w[2] + d * w[3];
}

// One row of the result: `row` is weighed along y already. kChannels 0: any number.
template <int kChannels>
float* CubicRow(const float* row, int channels, std::span<const CubicTap> taps,
                float* dst) {
  const int n = kChannels == 0 ? channels : kChannels;
  for (const CubicTap& tap : taps) {
    const float* at[4];
    for (int k = 0; k < 4; ++k) at[k] = row + int64_t{tap.pixels[k]} * n;
    for (int c = 0; c < n; ++c) {
      *dst++ = Weigh(tap.weights, at[0][c], at[1][c], at[2][c], at[3][c]);
    }
  }
  return dst;
}

template <typename T, typename Value>
void Bicubic(BasicView<T> src, PixelGrid grid, int height, int width, Value value,
             float* dst) {
  const auto xs = CubicTaps(grid, src.width, width);
  const auto ys = CubicTaps(grid, src.height, height);
  const size_t row_size = size_t(src.width) * src.channels;
  // Four source rows as floats, row y in slot y modulo 4, and their sum along y.
  std::vector<float> memory(5 * row_size);
  float* const column_sums = memory.data() + 4 * row_size;
  int held[4] = {-1, -1, -1, -1};
  const auto floats = [&](int y) {
    float* const slot = memory.data() + (y % 4) * row_size;
    if (held[y % 4] == y) return slot;
    held[y % 4] = y;
    std::transform(src.row(y), src.row(y) + row_size, slot, value);
    return slot;
  };
  for (const CubicTap& y : ys) {
    const float* rows[4];
    for (int k = 0; k < 4; ++k) rows[k] = floats(y.pixels[k]);
    for (size_t i = 0; i < row_size; ++i) {
      column_sums[i] = Weigh(y.weights, rows[0][i], rows[1][i], rows[2][i], rows[3][i]);
    }
    dst = src.channels == 3 ? CubicRow<3>(column_sums, 3, xs, dst)
                            : CubicRow<0>(column_sums, src.channels, xs, dst);
  }
}

// ---- area

// Source pixels [first, first + weights) of one result, with the share of each.
struct AreaTap {
  int64_t first;
  std::vector<float> weights;
};

std::vector<AreaTap> AreaTaps(const Axis& axis, int out) {
  std::vector<AreaTap> taps(out);
  for (int i = 0; i < out; ++i) {
    const float begin = static_cast<float>(i) * axis.scale();
    const float end = static_cast<float>(i + 1) * axis.scale();
    AreaTap& tap = taps[i];
    tap.first = static_cast<int64_t>(std::floor(begin));
    const int64_t last = static_cast<int64_t>(std::ceil(end));
    for (int64_t p = tap.first; p < last; ++p) {
      const float pixel_end = static_cast<float>(p + 1);
      if (static_cast<float>(p) < begin) {
        tap.weights.push_back(pixel_end > end ? axis.scale() : pixel_end - begin);
      } else {
        tap.weights.push_back(pixel_end > end ? end - static_cast<float>(p) : 1.0f);
      }
    }
  }
  return taps;
}

// A source row summed over the taps of each result. kChannels 0: any number.
template <int kChannels, typename T, typename Value>
void AreaRow(BasicView<T> src, int y, std::span<const AreaTap> taps, Value value,
             float* sums) {
  const int n = kChannels == 0 ? src.channels : kChannels;
  const T* const row = src.row(y);
  for (const AreaTap& tap : taps) {
    std::fill_n(sums, n, 0.0f);
    for (size_t j = 0; j < tap.weights.size(); ++j) {
      const T* pixel = row + int64_t{Clamp(tap.first + j, src.width)} * n;
      for (int c = 0; c < n; ++c) sums[c] += value(pixel[c]) * tap.weights[j];
    }
    sums += n;
  }
}

template <typename T, typename Value>
void Area(BasicView<T> src, PixelGrid grid, int height, int width, Value value,
          float* dst) {
  // A single pixel covers its axis whatever the grid: aligned corners would give
  // the results no extent.
  const Axis x_axis(src.width == 1 ? PixelGrid::kLegacy : grid, src.width, width);
  const Axis y_axis(src.height == 1 ? PixelGrid::kLegacy : grid, src.height, height);
  const auto xs = AreaTaps(x_axis, width);
  const auto ys = AreaTaps(y_axis, height);
  const float scale = 1.0f / (x_axis.scale() * y_axis.scale());
  const size_t row_size = size_t(width) * src.channels;
  // Two summed source rows, row y in slot y modulo 2: neighbouring results share them.
  std::vector<float> memory(2 * row_size);
  int held[2] = {-1, -1};
  const auto summed = [&](int y) {
    float* const slot = memory.data() + (y % 2) * row_size;
    if (held[y % 2] == y) return slot;
    held[y % 2] = y;
    if (src.channels == 3) {
      AreaRow<3>(src, y, xs, value, slot);
    } else {
      AreaRow<0>(src, y, xs, value, slot);
    }
    return slot;
  };
  for (const AreaTap& y : ys) {
    std::fill_n(dst, row_size, 0.0f);
    for (size_t i = 0; i < y.weights.size(); ++i) {
      const float* const sums = summed(Clamp(y.first + i, src.height));
      const float weight = y.weights[i];
      for (size_t k = 0; k < row_size; ++k) dst[k] += sums[k] * weight;
    }
    for (size_t k = 0; k < row_size; ++k) dst[k] *= scale;
    dst += row_size;
  }
}

template <typename T, typename Value>
absl::Status ResizeAny(BasicView<T> src, ResizeMethod method, PixelGrid grid, int height,
                       int width, Value value, std::span<float> dst) {
  RETURN_IF_ERROR(CheckArguments(src, height, width, dst));
  switch (method) {
    case ResizeMethod::kBilinear:
      Bilinear(src, grid, height, width, value, dst.data());
      break;
    case ResizeMethod::kNearest:
      Nearest(src, grid, height, width, value, dst.data());
      break;
    case ResizeMethod::kBicubic:
      Bicubic(src, grid, height, width, value, dst.data());
      break;
    case ResizeMethod::kArea:
      if (grid == PixelGrid::kHalfPixelCenters) {
        return InvalidArgument("area resize has no half-pixel centers");
      }
      Area(src, grid, height, width, value, dst.data());
      break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Resize(FloatView src, ResizeMethod method, PixelGrid grid, int height,
                    int width, std::span<float> dst) {
  return ResizeAny(
      src, method, grid, height, width, [](float v) { return v; }, dst);
}

absl::Status Resize(ImageView src, const ByteValues& values, ResizeMethod method,
                    PixelGrid grid, int height, int width, std::span<float> dst) {
  const float* table = values.data();
  return ResizeAny(
      src, method, grid, height, width, [table](uint8_t b) { return table[b]; }, dst);
}

}  // namespace oriel::image
