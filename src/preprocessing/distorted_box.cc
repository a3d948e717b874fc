#include "preprocessing/distorted_box.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace oriel::preprocessing {
namespace {

// Corners in pixels; the upper ones are outside.
struct Corners {
  int top;
  int left;
  int bottom;
  int right;

  float Area() const { return static_cast<float>((right - left) * (bottom - top)); }
};

Corners Intersection(const Corners& a, const Corners& b) {
  const Corners both = {std::max(a.top, b.top), std::max(a.left, b.left),
                        std::min(a.bottom, b.bottom), std::min(a.right, b.right)};
  if (both.top > both.bottom || both.left > both.right) return {0, 0, 0, 0};
  return both;
}

bool CoversAnObject(const Corners& box, std::span<const Corners> objects,
                    float min_object_covered) {
  constexpr float kMinArea = 1.0f;
  if (box.Area() < kMinArea) return false;
  return std::any_of(objects.begin(), objects.end(), [&](const Corners& object) {
    return object.Area() >= kMinArea &&
           Intersection(box, object).Area() / object.Area() >= min_object_covered;
  });
}

int Round(float v) { return static_cast<int>(std::lrint(v)); }

// One attempt: a box of the aspect ratio, of a random height for which its area is in
// range, anywhere. float32 all through, as in TensorFlow.
std::optional<Corners> RandomBox(int image_height, int image_width, float aspect_ratio,
                                 const DistortedBoxOptions& options,
                                 RandomStream& random) {
  const float min_area = options.min_area * image_width * image_height;
  const float max_area = options.max_area * image_width * image_height;
  int height = Round(std::sqrt(min_area / aspect_ratio));
  int max_height = Round(std::sqrt(max_area / aspect_ratio));
  if (Round(max_height * aspect_ratio) > image_width) {
    // The largest height whose width still fits, where rounding allows.
    constexpr float kEpsilon = 0.0000001f;
    max_height = static_cast<int>((image_width + 0.5 - kEpsilon) / aspect_ratio);
    if (Round(max_height * aspect_ratio) > image_width) --max_height;
  }
  max_height = std::min(max_height, image_height);
  if (height >= max_height) {
    height = max_height;
  } else {
    height += static_cast<int>(random.Below(max_height - height + 1));
  }
  int width = Round(height * aspect_ratio);
  float area = static_cast<float>(width) * static_cast<float>(height);
  const auto grow = [&](int pixels) {
    height += pixels;
    width = Round(height * aspect_ratio);
    area = static_cast<float>(width) * static_cast<float>(height);
  };
  // Rounding alone may have put the area out of range.
  if (area < min_area) grow(1);
  if (area > max_area) grow(-1);
  if (area < min_area || area > max_area || width > image_width ||
      height > image_height || width <= 0 || height <= 0) {
    return std::nullopt;
  }
  // The last place, at the far edge, is never drawn: TensorFlow's habit.
  const int top =
      height < image_height ? static_cast<int>(random.Below(image_height - height)) : 0;
  const int left =
      width < image_width ? static_cast<int>(random.Below(image_width - width)) : 0;
  return Corners{top, left, top + height, left + width};
}

absl::StatusOr<std::vector<Corners>> ToPixels(int height, int width,
                                              std::span<const RelativeBox> objects) {
  std::vector<Corners> corners;
  for (const RelativeBox& box : objects) {
    for (const float v : {box.ymin, box.xmin, box.ymax, box.xmax}) {
      if (!(v >= 0 && v <= 1)) {
        return InvalidArgument("All bounding box coordinates must be in [0.0, 1.0]: {}",
                               v);
      }
    }
    corners.push_back(
        {static_cast<int>(box.ymin * height), static_cast<int>(box.xmin * width),
         static_cast<int>(box.ymax * height), static_cast<int>(box.xmax * width)});
  }
  if (corners.empty()) corners.push_back({0, 0, height, width});
  return corners;
}

}  // namespace

absl::Status CheckDistortedBoxOptions(const DistortedBoxOptions& options) {
  if (options.max_attempts < 1) {
    return InvalidArgument("max_attempts must be > 0: {}", options.max_attempts);
  }
  if (!(options.min_object_covered >= 0 && options.min_object_covered <= 1)) {
    return InvalidArgument("min_object_covered must be in [0.0, 1.0]: {}",
                           options.min_object_covered);
  }
  constexpr float kWidest = 1000;  // keeps widths in pixels far from overflow
  if (!(options.min_aspect_ratio > 0 && options.max_aspect_ratio <= kWidest &&
        options.min_aspect_ratio <= options.max_aspect_ratio)) {
    return InvalidArgument(
        "aspect_ratio_range is [{}, {}], want over 0, up to {}, the smaller first",
        options.min_aspect_ratio, options.max_aspect_ratio, kWidest);
  }
  if (!(options.min_area > 0 && options.max_area <= 1 &&
        options.min_area <= options.max_area)) {
    return InvalidArgument(
        "area_range is [{}, {}], want over 0, up to 1, the smaller first",
        options.min_area, options.max_area);
  }
  return absl::OkStatus();
}

absl::StatusOr<PixelBox> SampleDistortedBoundingBox(int height, int width,
                                                    std::span<const RelativeBox> objects,
                                                    const DistortedBoxOptions& options,
                                                    RandomStream& random) {
  RETURN_IF_ERROR(CheckDistortedBoxOptions(options));
  constexpr int64_t kMostPixels = int64_t{1} << 29;  // of an image that is decoded
  constexpr int kLongest = 1 << 24;                  // whole numbers that a float has
  if (height < 1 || width < 1 || height > kLongest || width > kLongest ||
      int64_t{height} * width > kMostPixels) {
    return InvalidArgument("bounding box in an image of {} x {} pixels", height, width);
  }
  ASSIGN_OR_RETURN(const std::vector<Corners> wanted, ToPixels(height, width, objects));
  const Corners image = {0, 0, height, width};
  for (int attempt = 0; attempt < options.max_attempts; ++attempt) {
    const float aspect_ratio =
        random.Uniform(options.min_aspect_ratio, options.max_aspect_ratio);
    const auto box = RandomBox(height, width, aspect_ratio, options, random);
    if (box && CoversAnObject(*box, wanted, options.min_object_covered)) {
      return PixelBox{box->top, box->left, box->bottom - box->top,
                      box->right - box->left};
    }
  }
  return PixelBox{image.top, image.left, image.bottom, image.right};
}

}  // namespace oriel::preprocessing
