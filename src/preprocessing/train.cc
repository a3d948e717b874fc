#include "preprocessing/train.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "image/color.h"
#include "preprocessing/preprocess.h"
#include "preprocessing/sizes.h"
#include "preprocessing/unit_values.h"

namespace oriel::preprocessing {
namespace {

using image::ColorStep;
using image::ImageView;
using image::ResizeMethod;
using Kind = ColorStep::Kind;

// Slim's numbering.
constexpr std::array<ResizeMethod, 4> kResizeMethods = {
    ResizeMethod::kBilinear, ResizeMethod::kNearest, ResizeMethod::kBicubic,
    ResizeMethod::kArea};

// Each ordering by the initials of its steps.
constexpr std::array<std::string_view, 4> kOrderings = {"BSHC", "SBCH", "CHBS", "HSCB"};
constexpr std::array<std::string_view, 2> kFastOrderings = {"BS", "SB"};

ColorStep Step(char initial, const ColorAmounts& amounts) {
  switch (initial) {
    case 'B':
      return {Kind::kBrightness, amounts.brightness};
    case 'S':
      return {Kind::kSaturation, amounts.saturation};
    case 'H':
      return {Kind::kHue, amounts.hue};
    default:
      return {Kind::kContrast, amounts.contrast};
  }
}

// The steps of distort_color, the clipping at their end included.
class ColorSteps {
 public:
  static absl::StatusOr<ColorSteps> Create(const ColorAmounts& amounts, int ordering,
                                           bool fast_mode) {
    if (!fast_mode && (ordering < 0 || ordering >= int{kOrderings.size()})) {
      return InvalidArgument("color_ordering must be in [0, 3]");
    }
    ColorSteps steps;
    for (const char initial :
         fast_mode ? kFastOrderings[ordering == 0 ? 0 : 1] : kOrderings[ordering]) {
      steps.Add(Step(initial, amounts));
    }
    steps.Add({Kind::kClip});
    return steps;
  }

  void Add(ColorStep step) { steps_[count_++] = step; }
  std::span<const ColorStep> steps() const { return std::span(steps_).first(count_); }

 private:
  std::array<ColorStep, 6> steps_;
  size_t count_ = 0;
};

void FlipLeftRight(int height, int width, std::span<float> pixels) {
  for (int y = 0; y < height; ++y) {
    float* left = pixels.data() + size_t(y) * width * 3;
    float* right = left + size_t(width - 1) * 3;
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
}

}  // namespace

ColorAmounts DrawColorAmounts(RandomStream& random) {
  ColorAmounts amounts;
  constexpr float kMaxBrightness = static_cast<float>(32.0 / 255.0);
  amounts.brightness = random.Uniform(-kMaxBrightness, kMaxBrightness);
  amounts.saturation = random.Uniform(0.5f, 1.5f);
  amounts.hue = random.Uniform(-0.2f, 0.2f);
  amounts.contrast = random.Uniform(0.5f, 1.5f);
  return amounts;
}

absl::Status DistortColor(std::span<float> pixels, const ColorAmounts& amounts,
                          int color_ordering, bool fast_mode) {
  if (pixels.size() % 3 != 0) {
    return InvalidArgument("colours of {} values, want RGB", pixels.size());
  }
  ASSIGN_OR_RETURN(const ColorSteps steps,
                   ColorSteps::Create(amounts, color_ordering, fast_mode));
  image::AdjustColors(pixels, steps.steps());
  return absl::OkStatus();
}

absl::StatusOr<Augmentation> DrawAugmentation(int height, int width,
                                              std::span<const RelativeBox> objects,
                                              const TrainOptions& options,
                                              RandomStream& random) {
  Augmentation drawn;
  drawn.fast_mode = options.fast_mode;
  ASSIGN_OR_RETURN(
      drawn.box, SampleDistortedBoundingBox(height, width, objects, options.box, random));
  if (!options.random_crop) drawn.box = {0, 0, height, width};
  const uint32_t method = random.Below(kResizeMethods.size());
  drawn.resize_method = kResizeMethods[options.fast_mode ? 0 : method];
  drawn.flip = random.Unit() < 0.5f;
  const int ordering = static_cast<int>(random.Below(kOrderings.size()));
  const bool one_ordering = options.fast_mode && options.one_ordering_when_fast;
  drawn.color_ordering = one_ordering ? 0 : ordering;
  drawn.colors = DrawColorAmounts(random);
  return drawn;
}

absl::Status AugmentPart(ImageView part, const Augmentation& augmentation,
                         const TrainOptions& options, std::span<float> dst) {
  RETURN_IF_ERROR(CheckSizes(part, options.height, options.width, dst));
  if (part.height != augmentation.box.height || part.width != augmentation.box.width) {
    return InvalidArgument("part of {} x {} pixels, want {} x {}", part.height,
                           part.width, augmentation.box.height, augmentation.box.width);
  }
  ASSIGN_OR_RETURN(ColorSteps steps,
                   ColorSteps::Create(augmentation.colors, augmentation.color_ordering,
                                      augmentation.fast_mode));
  steps.Add({Kind::kToSigned});
  RETURN_IF_ERROR(image::Resize(part, UnitValues(), augmentation.resize_method,
                                image::PixelGrid::kLegacy, options.height, options.width,
                                dst));
  if (augmentation.flip) FlipLeftRight(options.height, options.width, dst);
  image::AdjustColors(dst, steps.steps());
  return absl::OkStatus();
}

absl::Status Augment(ImageView image, const Augmentation& augmentation,
                     const TrainOptions& options, std::span<float> dst) {
  const PixelBox& box = augmentation.box;
  if (!box.IsInside(image.height, image.width)) {
    return InvalidArgument("box of {} x {} at {},{} is outside an image of {} x {}",
                           box.height, box.width, box.top, box.left, image.height,
                           image.width);
  }
  return AugmentPart(image.Crop(box), augmentation, options, dst);
}

absl::Status PreprocessForTrain(ImageView image, std::span<const RelativeBox> objects,
                                const TrainOptions& options, RandomStream& random,
                                std::span<float> dst) {
  ASSIGN_OR_RETURN(const Augmentation augmentation,
                   DrawAugmentation(image.height, image.width, objects, options, random));
  return Augment(image, augmentation, options, dst);
}

absl::StatusOr<Augmentation> DecodeForTrain(Bytes bytes,
                                            const image::DecodeOptions& decode,
                                            std::span<const RelativeBox> objects,
                                            const TrainOptions& options,
                                            RandomStream& random, std::span<float> dst) {
  Augmentation drawn;
  const auto choose = [&](int height, int width) -> absl::StatusOr<PixelBox> {
    ASSIGN_OR_RETURN(drawn, DrawAugmentation(height, width, objects, options, random));
    return drawn.box;
  };
  ASSIGN_OR_RETURN(const image::Image part, image::DecodePart(bytes, decode, choose));
  RETURN_IF_ERROR(AugmentPart(part, drawn, options, dst));
  return drawn;
}

absl::StatusOr<DistortedCrop> DistortedBoundingBoxCrop(
    ImageView image, std::span<const RelativeBox> objects,
    const DistortedBoxOptions& options, RandomStream& random) {
  ASSIGN_OR_RETURN(
      const PixelBox box,
      SampleDistortedBoundingBox(image.height, image.width, objects, options, random));
  return DistortedCrop{image.Crop(box), box};
}

absl::StatusOr<image::BasicImage<float>> PreprocessImage(
    ImageView image, std::span<const RelativeBox> objects,
    const PreprocessImageOptions& options, RandomStream& random) {
  EvalOptions eval;
  if (!options.crop_image) eval.central_fraction = 1;
  image::BasicImage<float> result{options.height, options.width, 3, {}};
  if (!options.is_training && (options.height == 0 || options.width == 0)) {
    result.height = CentralPart(image.height, eval.central_fraction).size;
    result.width = CentralPart(image.width, eval.central_fraction).size;
  }
  const auto is_side = [](int side) { return side >= 1 && side <= kLargestSide; };
  if (is_side(result.height) && is_side(result.width)) {  // else an error below
    result.pixels.resize(size_t(result.height) * result.width * 3);
  }
  if (options.is_training) {
    TrainOptions train;
    train.height = options.height;
    train.width = options.width;
    train.fast_mode = options.fast_mode;
    train.random_crop = options.crop_image;
    RETURN_IF_ERROR(PreprocessForTrain(image, objects, train, random, result.pixels));
  } else {
    eval.height = result.height;
    eval.width = result.width;
    RETURN_IF_ERROR(PreprocessForEval(image, eval, result.pixels));
  }
  return result;
}

}  // namespace oriel::preprocessing
