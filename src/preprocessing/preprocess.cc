#include "preprocessing/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "image/resize.h"
#include "image/resize_antialiased.h"
#include "preprocessing/sizes.h"
#include "preprocessing/unit_values.h"

namespace oriel::preprocessing {
namespace {

using image::ByteValues;
using image::Image;
using image::ImageView;
using image::PixelGrid;
using image::ResizeMethod;
using image::Window;

template <typename F>
ByteValues ByteTable(F value) {
  ByteValues table;
  for (int b = 0; b < 256; ++b) table[b] = value(static_cast<float>(b));
  return table;
}

// ---- which part of an image of height x width pixels a preset looks at

absl::StatusOr<Window> WholeImage(int height, int width, const EvalOptions&) {
  return Window{0, 0, height, width};
}

absl::StatusOr<Window> CentralFraction(int height, int width,
                                       const EvalOptions& options) {
  if (!(options.central_fraction > 0 && options.central_fraction <= 1)) {
    return InvalidArgument("central_fraction is {}, want over 0, up to 1",
                           options.central_fraction);
  }
  const Part rows = CentralPart(height, options.central_fraction);
  const Part columns = CentralPart(width, options.central_fraction);
  return Window{rows.start, columns.start, rows.size, columns.size};
}

absl::StatusOr<Window> EfficientNetLiteCrop(int height, int width,
                                            const EvalOptions& options) {
  const double size = options.height;
  const int side = static_cast<int>(size / (size + 32) * std::min(width, height));
  if (side < 1) {
    return InvalidArgument("image of {} x {} pixels is too small to crop", height, width);
  }
  return Window{(height - side + 1) / 2, (width - side + 1) / 2, side, side};
}

// ---- what it makes of that part

absl::Status Inception(ImageView part, const EvalOptions& options, std::span<float> dst) {
  RETURN_IF_ERROR(image::Resize(part, UnitValues(), ResizeMethod::kBilinear,
                                PixelGrid::kLegacy, options.height, options.width, dst));
  for (float& v : dst) v = (v - 0.5f) * 2.0f;
  return absl::OkStatus();
}

absl::Status Keras(ImageView image, const EvalOptions& options, std::span<float> dst) {
  static const ByteValues kAsIs = ByteTable([](float b) { return b; });
  RETURN_IF_ERROR(image::Resize(image, kAsIs, ResizeMethod::kBilinear,
                                PixelGrid::kHalfPixelCenters, options.height,
                                options.width, dst));
  for (float& v : dst) v = v / 127.5f - 1.0f;
  return absl::OkStatus();
}

void Convert(const Image& image, const ByteValues& values, std::span<float> dst) {
  std::transform(image.pixels.begin(), image.pixels.end(), dst.begin(),
                 [&values](uint8_t b) { return values[b]; });
}

// Python's round(): halves go to the even neighbour.
int RoundHalfToEven(double v) { return static_cast<int>(std::nearbyint(v)); }

absl::Status Timm(ImageView image, const EvalOptions& options, std::span<float> dst) {
  const int size = options.height;
  // torchvision's Resize of the short side; the long side is cut, not rounded.
  const int64_t resized_short = static_cast<int64_t>(std::floor(size / 0.8975));
  const bool wide = image.width >= image.height;
  const int64_t short_side = wide ? image.height : image.width;
  const int64_t long_side = wide ? image.width : image.height;
  const int64_t resized_long = resized_short * long_side / short_side;
  constexpr int64_t kLongest = int64_t{1} << 30;
  if (resized_long > kLongest) {
    return InvalidArgument("image of {} x {} pixels is too long and thin", image.height,
                           image.width);
  }
  const int height = static_cast<int>(wide ? resized_short : resized_long);
  const int width = static_cast<int>(wide ? resized_long : resized_short);
  // torchvision's CenterCrop. Only that part of the resized image is computed.
  const image::Window window = {RoundHalfToEven((height - size) / 2.0),
                                RoundHalfToEven((width - size) / 2.0), size, size};
  ASSIGN_OR_RETURN(const Image resized,
                   ResizeBicubicAntialiased(image, height, width, window));
  static const ByteValues kNormalized =
      ByteTable([](float b) { return (b / 255.0f - 0.5f) / 0.5f; });
  Convert(resized, kNormalized, dst);
  return absl::OkStatus();
}

absl::Status EfficientNetLite(ImageView part, const EvalOptions& options,
                              std::span<float> dst) {
  ASSIGN_OR_RETURN(const Image resized,
                   ResizeBicubicAntialiased(part, options.height, options.width));
  static const ByteValues kNormalized =
      ByteTable([](float b) { return (b - 127.0f) / 128.0f; });
  Convert(resized, kNormalized, dst);
  return absl::OkStatus();
}

struct Entry {
  Preset preset;
  std::string_view name;
  bool square;
  image::DctMethod dct_method;
  absl::StatusOr<Window> (*part)(int height, int width, const EvalOptions&);
  absl::Status (*run)(ImageView part, const EvalOptions&, std::span<float>);
};
constexpr std::array<Entry, 4> kPresets = {{
    {Preset::kInception, "inception", false, image::DctMethod::kIntegerFast,
     CentralFraction, Inception},
    {Preset::kKeras, "keras", false, image::DctMethod::kIntegerFast, WholeImage, Keras},
    {Preset::kTimm, "timm", true, image::DctMethod::kIntegerAccurate, WholeImage, Timm},
    {Preset::kEfficientNetLite, "efficientnet_lite", true,
     image::DctMethod::kIntegerAccurate, EfficientNetLiteCrop, EfficientNetLite},
}};

const Entry& Find(Preset preset) {
  return *std::find_if(kPresets.begin(), kPresets.end(),
                       [&](const Entry& entry) { return entry.preset == preset; });
}

absl::Status CheckSquare(const Entry& entry, const EvalOptions& options) {
  if (!entry.square || options.height == options.width) return absl::OkStatus();
  return InvalidArgument("preprocessing '{}' to {} x {}, want a square", entry.name,
                         options.height, options.width);
}

}  // namespace

absl::StatusOr<Preset> PresetFromName(std::string_view name) {
  std::string names;
  for (const Entry& entry : kPresets) {
    if (entry.name == name) return entry.preset;
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", entry.name);
  }
  return InvalidArgument("unknown preprocessing '{}', want one of {}", name, names);
}

std::string_view PresetName(Preset preset) { return Find(preset).name; }

image::DecodeOptions DecodeOptionsFor(Preset preset) {
  image::DecodeOptions options;
  options.dct_method = Find(preset).dct_method;
  return options;
}

absl::Status PreprocessForEval(ImageView image, const EvalOptions& options,
                               std::span<float> dst) {
  const Entry& entry = Find(options.preset);
  RETURN_IF_ERROR(CheckSizes(image, options.height, options.width, dst));
  RETURN_IF_ERROR(CheckSquare(entry, options));
  ASSIGN_OR_RETURN(const Window part, entry.part(image.height, image.width, options));
  return entry.run(image.Crop(part), options, dst);
}

absl::Status DecodeForEval(Bytes bytes, const image::DecodeOptions& decode,
                           const EvalOptions& options, std::span<float> dst) {
  const Entry& entry = Find(options.preset);
  RETURN_IF_ERROR(CheckSquare(entry, options));
  ASSIGN_OR_RETURN(const Image part,
                   image::DecodePart(bytes, decode, [&](int height, int width) {
                     return entry.part(height, width, options);
                   }));
  RETURN_IF_ERROR(CheckSizes(part, options.height, options.width, dst));
  return entry.run(part, options, dst);
}

void ToBytes(Preset preset, std::span<const float> values, std::span<uint8_t> bytes) {
  const bool lite = preset == Preset::kEfficientNetLite;
  const float scale = lite ? 128.0f : 127.5f;
  const float zero = lite ? 127.0f : 127.5f;
  std::transform(values.begin(), values.end(), bytes.begin(), [&](float v) {
    const float byte = v * scale + zero + 0.5f;
    return static_cast<uint8_t>(byte > 255.0f ? 255.0f : byte > 0.0f ? byte : 0.0f);
  });
}

}  // namespace oriel::preprocessing
