#include "image/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "image/vector_target.h"

namespace oriel::image {
namespace {

using Kind = ColorStep::Kind;

// Pixels are worked on in tiles that stay in the first-level cache, a plane for each
// channel: loops over planes become vector instructions.
constexpr size_t kTilePixels = 512;
struct Tile {
  alignas(64) std::array<std::array<float, kTilePixels>, 3> planes;
};

// The order of comparisons is TensorFlow's, for values that are no numbers too.
ORIEL_INLINE_LOOP float Max(float a, float b) { return a < b ? b : a; }
ORIEL_INLINE_LOOP float Min(float a, float b) { return b < a ? b : a; }

// adjust_saturation_op.cc. Its thirds are doubles.
ORIEL_INLINE_LOOP void Saturate(float* __restrict red, float* __restrict green,
                                float* __restrict blue, size_t n, float factor) {
  for (size_t i = 0; i < n; ++i) {
    const float r = red[i];
    const float g = green[i];
    const float b = blue[i];
    const float value = Max(r, Max(g, b));
    const float range = value - Min(r, Min(g, b));
    const float ratio = range / value;
    const float saturation = value > 0 ? ratio : 0.0f;
    const float norm = 1.0f / (6.0f * range);
    const float from_red = norm * (g - b);
    const float from_green = static_cast<float>(norm * (b - r) + 2.0 / 6.0);
    const float from_blue = static_cast<float>(norm * (r - g) + 4.0 / 6.0);
    float hue = g == value ? from_green : from_blue;
    hue = r == value ? from_red : hue;
    hue = range <= 0 ? 0.0f : hue;
    const float turned = hue + 1;
    hue = hue < 0 ? turned : hue;

    const float changed = Min(1.0f, Max(0.0f, saturation * factor));
    const float chroma = changed * value;
    const float rest = value - chroma;
    const float sixths = hue * 6;  // in [0, 6]; 6 counts as no colour
    const float pairs = sixths < 2 ? 0.0f : sixths < 4 ? 2.0f : 4.0f;
    const float x = chroma * (1 - std::abs(sixths - pairs - 1));
    // Which of the sextants has the full chroma, which a part of it.
    const float full_red = sixths < 1 ? chroma : sixths < 2 ? x : 0.0f;
    const float late_red = sixths < 4 ? 0.0f : sixths < 5 ? x : chroma;
    const float early_green = sixths < 1 ? x : chroma;
    const float late_green = sixths < 4 ? x : 0.0f;
    const float early_blue = sixths < 2 ? 0.0f : x;
    const float late_blue = sixths < 5 ? chroma : x;
    const float new_red = sixths < 3 ? full_red : late_red;
    const float new_green = sixths < 3 ? early_green : late_green;
    const float new_blue = sixths < 3 ? early_blue : late_blue;
    const bool is_color = sixths < 6;
    red[i] = (is_color ? new_red : 0.0f) + rest;
    green[i] = (is_color ? new_green : 0.0f) + rest;
    blue[i] = (is_color ? new_blue : 0.0f) + rest;
  }
}

// adjust_hue_op.cc: hue in sextants, between the largest and the smallest channel.
ORIEL_INLINE_LOOP void TurnHue(float* __restrict red, float* __restrict green,
                               float* __restrict blue, size_t n, float sextants) {
  for (size_t i = 0; i < n; ++i) {
    const float r = red[i];
    const float g = green[i];
    const float b = blue[i];
    // Where channels are equal, the first of them in this order.
    const float v_min = Min(r, Min(g, b));
    const float v_max = Max(r, Max(g, b));
    const float v_mid = Max(Min(r, g), Min(Max(r, g), b));
    const float range = v_max - v_min;
    const float ratio = (v_mid - v_min) / range;
    const float reverse = 1 - ratio;
    const float green_first = b < r ? 1 + reverse : b > g ? 3 + reverse : 2 + ratio;
    const float red_first = b < g ? ratio : b > r ? 4 + ratio : 5 + reverse;
    float hue = r < g ? green_first : red_first;
    hue = range == 0 ? 0.0f : hue;
    // sextants is in [-6, 6]: one turn forth or two back.
    hue += sextants;
    const float forth = hue + 6;
    hue = hue < 0 ? forth : hue;
    const float back = hue - 6;
    hue = hue >= 6 ? back : hue;
    const float back_again = hue - 6;
    hue = hue >= 6 ? back_again : hue;

    const float sextant = static_cast<float>(static_cast<int32_t>(hue));
    const float within = hue - sextant;
    const bool falls = sextant == 1 || sextant == 3 || sextant == 5;
    const float share = falls ? 1 - within : within;
    const float middle = v_min + share * range;
    red[i] = hue < 1   ? v_max
             : hue < 2 ? middle
             : hue < 4 ? v_min
             : hue < 5 ? middle
                       : v_max;
    green[i] = hue < 1 ? middle : hue < 3 ? v_max : hue < 4 ? middle : v_min;
    blue[i] = hue < 2 ? v_min : hue < 3 ? middle : hue < 5 ? v_max : middle;
  }
}

// adjust_contrast_op.cc.
ORIEL_INLINE_LOOP void Spread(float* values, size_t n, float factor, float mean) {
  for (size_t i = 0; i < n; ++i) values[i] = mean + factor * (values[i] - mean);
}

using Means = std::array<float, 3>;

ORIEL_INLINE_LOOP void RunStep(Tile& tile, size_t n, const ColorStep& step,
                               const Means& means) {
  float* const red = tile.planes[0].data();
  float* const green = tile.planes[1].data();
  float* const blue = tile.planes[2].data();
  switch (step.kind) {
    case Kind::kSaturation:
      return Saturate(red, green, blue, n, step.amount);
    case Kind::kHue:
      return TurnHue(red, green, blue, n, step.amount * 6);
    default:
      break;
  }
  for (int c = 0; c < 3; ++c) {
    float* const values = tile.planes[c].data();
    if (step.kind == Kind::kBrightness) {
      for (size_t i = 0; i < n; ++i) values[i] += step.amount;
    } else if (step.kind == Kind::kContrast) {
      Spread(values, n, step.amount, means[c]);
    } else if (step.kind == Kind::kClip) {
      for (size_t i = 0; i < n; ++i) values[i] = Max(Min(values[i], 1.0f), 0.0f);
    } else if (step.kind == Kind::kToSigned) {
      for (size_t i = 0; i < n; ++i) values[i] = (values[i] - 0.5f) * 2.0f;
    }
  }
}

ORIEL_INLINE_LOOP void RunSteps(std::span<float> pixels, std::span<const ColorStep> steps,
                                const Means& means) {
  Tile tile;
  for (size_t at = 0; at < pixels.size(); at += kTilePixels * 3) {
    const size_t n = std::min(kTilePixels, (pixels.size() - at) / 3);
    float* const interleaved = pixels.data() + at;
    float* const red = tile.planes[0].data();
    float* const green = tile.planes[1].data();
    float* const blue = tile.planes[2].data();
    for (size_t i = 0; i < n; ++i) {
      red[i] = interleaved[i * 3];
      green[i] = interleaved[i * 3 + 1];
      blue[i] = interleaved[i * 3 + 2];
    }
    for (const ColorStep& step : steps) RunStep(tile, n, step, means);
    for (size_t i = 0; i < n; ++i) {
      interleaved[i * 3] = red[i];
      interleaved[i * 3 + 1] = green[i];
      interleaved[i * 3 + 2] = blue[i];
    }
  }
}

ORIEL_TARGET_AVX2 void RunStepsAvx2(std::span<float> pixels,
                                    std::span<const ColorStep> steps,
                                    const Means& means) {
  RunSteps(pixels, steps, means);
}

void RunStepsBaseline(std::span<float> pixels, std::span<const ColorStep> steps,
                      const Means& means) {
  RunSteps(pixels, steps, means);
}

// The sum of each channel divided by the number of pixels, in the order of additions of
// adjust_contrast_op.cc: the second half of the pixels is added to the first until one
// is left.
Means ChannelMeans(std::span<const float> pixels) {
  const size_t count = pixels.size() / 3;
  std::vector<float> sums((count + 1) / 2 * 3);
  const float* from = pixels.data();
  size_t left = count;
  do {
    const size_t right = left / 2;
    const float* const second = from + (left - right) * 3;
    for (size_t i = 0; i < right * 3; ++i) sums[i] = from[i] + second[i];
    if (left % 2 != 0 && from != sums.data()) {
      std::copy_n(from + right * 3, 3, sums.data() + right * 3);
    }
    left -= right;
    from = sums.data();
  } while (left > 1);
  const float scale = 1.0f / static_cast<float>(count);
  return {sums[0] * scale, sums[1] * scale, sums[2] * scale};
}

}  // namespace

void AdjustColors(std::span<float> pixels, std::span<const ColorStep> steps) {
  if (pixels.empty()) return;
  const auto run = HasAvx2() ? RunStepsAvx2 : RunStepsBaseline;
  // A contrast needs the mean of what the steps before it made: it begins a new walk.
  while (!steps.empty()) {
    const auto next = std::find_if(steps.begin() + 1, steps.end(), [](const auto& step) {
      return step.kind == Kind::kContrast;
    });
    const Means means =
        steps.front().kind == Kind::kContrast ? ChannelMeans(pixels) : Means{};
    run(pixels, {steps.begin(), next}, means);
    steps = {next, steps.end()};
  }
}

}  // namespace oriel::image
