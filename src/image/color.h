// Changing the colours of float images as TensorFlow does (tf.image.adjust_brightness,
// adjust_contrast, adjust_saturation, adjust_hue; kernels adjust_*_op.cc), to the bit.
//
// pixels: RGB, 3 floats each, interleaved, a whole image; size() is a multiple of 3.
// Values are meant to be in [0,1] but need not be: nothing is clipped unless said.
// Thread-safe.
#pragma once

#include <span>

namespace oriel::image {

struct ColorStep {
  enum class Kind {
    kBrightness,  // v + amount
    kContrast,    // (v - mean) * amount + mean, mean of each channel over the image
    kSaturation,  // RGB to HSV, S * amount within [0,1], back to RGB
    kHue,         // H + amount, a fraction of the circle in [-1,1]
    kClip,        // to [0,1]; amount is not looked at
    kToSigned,    // (v - 0.5) * 2
  };
  Kind kind;
  float amount = 0;
};

// All steps, in order, in place: the same result as of one step after the other, with as
// few walks through memory as they allow.
void AdjustColors(std::span<float> pixels, std::span<const ColorStep> steps);

inline void AdjustColor(std::span<float> pixels, ColorStep step) {
  AdjustColors(pixels, {&step, 1});
}

}  // namespace oriel::image
