// Training preprocessing of TF-slim's inception_preprocessing: a random part of the
// image, resized by a random method, perhaps mirrored, in distorted colours, in [-1,1].
//
// What is random is drawn first (DrawAugmentation) and applied then (Augment), which is
// deterministic: everything can be told, repeated and compared. The draws come from a
// RandomStream that the caller makes from a seed and the number of the image, so they do
// not depend on threads or on other images.
//
// The values are TensorFlow's for the same draws, to the bit. The draws themselves are
// distributed as slim's (and boxes are TensorFlow's for the same words), but a seed of
// tf.random gives others.
#pragma once

#include <span>

#include "base/bytes.h"
#include "base/philox.h"
#include "base/status.h"
#include "image/decode.h"
#include "image/image.h"
#include "image/resize.h"
#include "preprocessing/distorted_box.h"

namespace oriel::preprocessing {

// ---- distort_color

// How much each step of distort_color changes.
struct ColorAmounts {
  float brightness = 0;  // added: slim draws from [-32/255, 32/255)
  float saturation = 1;  // factor, from [0.5, 1.5)
  float hue = 0;         // fraction of the circle, from [-0.2, 0.2)
  float contrast = 1;    // factor, from [0.5, 1.5)
};

// Draws all four, in this order, whether or not a mode uses them.
ColorAmounts DrawColorAmounts(RandomStream& random);

// pixels: RGB floats in [0,1], interleaved, a whole image; in place, then clipped to
// [0,1]. B, S, H, C are the steps in the order of ColorAmounts:
//   fast_mode: ordering 0 is B S, any other S B;
//   else: 0 is B S H C, 1 is S B C H, 2 is C H B S, 3 is H S C B.
// kInvalidArgument "color_ordering must be in [0, 3]". Thread-safe.
absl::Status DistortColor(std::span<float> pixels, const ColorAmounts& amounts,
                          int color_ordering = 0, bool fast_mode = true);

// ---- preprocess_for_train

struct TrainOptions {
  int height = 0;  // of the result, 1 to kLargestSide
  int width = 0;

  // Bilinear resizes only, and no change of hue and contrast.
  bool fast_mode = true;

  // false: the whole image instead of a distorted box.
  bool random_crop = true;

  // How many orders of colour steps there are in fast mode: slim of 2016 and 2017 draws
  // one of 4 there too, of which three are the same; later slim has ordering 0 alone.
  bool one_ordering_when_fast = true;

  DistortedBoxOptions box;
};

// All that is random about one image.
struct Augmentation {
  PixelBox box;
  image::ResizeMethod resize_method = image::ResizeMethod::kBilinear;
  bool flip = false;  // left to right
  bool fast_mode = true;
  int color_ordering = 0;
  ColorAmounts colors;
};

// For an image of height x width pixels. `objects`: as SampleDistortedBoundingBox takes
// them. The same draws are made in the same order whatever the options, so that the box
// of an image does not depend on fast_mode. kInvalidArgument as there.
absl::StatusOr<Augmentation> DrawAugmentation(int height, int width,
                                              std::span<const RelativeBox> objects,
                                              const TrainOptions& options,
                                              RandomStream& random);

// image: RGB, borrowed; only the pixels of augmentation.box are looked at. dst:
// [options.height, options.width, 3], whole; in [-1,1]. kInvalidArgument for other
// channels, sizes that do not fit, a box outside the image. Thread-safe; beside dst it
// needs memory for some rows.
absl::Status Augment(image::ImageView image, const Augmentation& augmentation,
                     const TrainOptions& options, std::span<float> dst);

// The same where `part` has the pixels of augmentation.box and no others.
absl::Status AugmentPart(image::ImageView part, const Augmentation& augmentation,
                         const TrainOptions& options, std::span<float> dst);

// slim's preprocess_for_train: draws, then augments.
absl::Status PreprocessForTrain(image::ImageView image,
                                std::span<const RelativeBox> objects,
                                const TrainOptions& options, RandomStream& random,
                                std::span<float> dst);

// The same from an image file: what was drawn. Only the pixels of the box are computed
// (image::DecodePart). Errors of decoding as well.
absl::StatusOr<Augmentation> DecodeForTrain(Bytes bytes,
                                            const image::DecodeOptions& decode,
                                            std::span<const RelativeBox> objects,
                                            const TrainOptions& options,
                                            RandomStream& random, std::span<float> dst);

// slim's distorted_bounding_box_crop: the part of the image, which it views, and where
// that lies.
struct DistortedCrop {
  image::ImageView image;
  PixelBox box;
};
absl::StatusOr<DistortedCrop> DistortedBoundingBoxCrop(
    image::ImageView image, std::span<const RelativeBox> objects,
    const DistortedBoxOptions& options, RandomStream& random);

// ---- preprocess_image

struct PreprocessImageOptions {
  int height = 0;
  int width = 0;
  bool is_training = false;
  bool fast_mode = true;
  bool crop_image = true;  // false: neither a random crop nor the central one
};

// slim's preprocess_image: for training as PreprocessForTrain, else as PreprocessForEval
// of kInception with the central 0.875. A height or width of 0 leaves the size as it is
// there, and is an error for training. `random` is not looked at without is_training.
absl::StatusOr<image::BasicImage<float>> PreprocessImage(
    image::ImageView image, std::span<const RelativeBox> objects,
    const PreprocessImageOptions& options, RandomStream& random);

}  // namespace oriel::preprocessing
