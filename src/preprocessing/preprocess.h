// Decoded images to the floats that networks were trained on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "image/decode.h"
#include "image/image.h"

namespace oriel::preprocessing {

enum class Preset {
  // TF-slim's inception_preprocessing.preprocess_for_eval: bytes to [0,1]; the
  // central part of both sides; bilinear to the size, whatever the aspect;
  // (x - 0.5) * 2.
  kInception,
  // keras.applications, mode "tf": bilinear (tf.image.resize) of the whole image;
  // x / 127.5 - 1.
  kKeras,
  // timm's evaluation of Inception-ResNet-v2: antialiased bicubic to a short side
  // of size / 0.8975; centre crop; mean and deviation 0.5.
  kTimm,
  // efficientnet_lite_pytorch: centre crop of size / (size + 32) of the short
  // side; antialiased bicubic to the size; (x - 127) / 128.
  kEfficientNetLite,
};

// "inception", "keras", "timm", "efficientnet_lite". kInvalidArgument for others.
absl::StatusOr<Preset> PresetFromName(std::string_view name);
std::string_view PresetName(Preset preset);

// How images were decoded for the networks of a preset, everything else at its
// default: kInception and kKeras by TensorFlow, kTimm and kEfficientNetLite by
// Pillow, whose JPEG decoder uses the accurate DCT. The fast one shifts
// EfficientNet-Lite's inputs by 0.006 in the mean.
image::DecodeOptions DecodeOptionsFor(Preset preset);

// Of a result, for training too.
inline constexpr int kLargestSide = 8192;

struct EvalOptions {
  Preset preset = Preset::kInception;
  int height =
      0;  // of the result, 1 to kLargestSide; kTimm and kEfficientNetLite want a square
  int width = 0;
  double central_fraction = 0.875;  // kInception: in (0, 1]; 1 takes all
};

// image: RGB, borrowed. dst: [height,width,3], whole. kInvalidArgument for other
// channels, sizes that do not fit, a fraction out of range. Thread-safe; beside
// dst it needs memory for some rows, for the bicubic presets also 3 bytes for
// each row of the image and column of the result.
absl::Status PreprocessForEval(image::ImageView image, const EvalOptions& options,
                               std::span<float> dst);

// The same from an image file, of which no more is computed than what the preset looks at
// (image::DecodePart). Errors of decoding as well.
absl::Status DecodeForEval(Bytes bytes, const image::DecodeOptions& decode,
                           const EvalOptions& options, std::span<float> dst);

// The nearest bytes to what preprocessed values stand for, to look at them: the reverse
// of the last step of a preset, for training too. As many as values. Thread-safe.
void ToBytes(Preset preset, std::span<const float> values, std::span<uint8_t> bytes);

}  // namespace oriel::preprocessing
