#include "cli/preprocess_work.h"

#include <boost/json.hpp>
#include <new>

#include "base/utf8.h"
#include "image/decode.h"

namespace oriel::cli {
namespace {

using preprocessing::Augmentation;

std::span<const preprocessing::RelativeBox> ObjectsOf(const DatasetImage& image,
                                                      const PreprocessOptions& options) {
  if (options.objects == nullptr) return {};
  const size_t slash = image.relative.rfind('/');
  const auto found = options.objects->find(
      slash == std::string::npos ? image.relative : image.relative.substr(slash + 1));
  if (found == options.objects->end()) return {};
  return found->second;
}

absl::StatusOr<std::optional<Augmentation>> Run(const DatasetImage& image, size_t number,
                                                int repeat,
                                                const PreprocessOptions& options,
                                                std::span<float> dst) {
  ASSIGN_OR_RETURN(const std::string bytes, image.input.read());
  image::DecodeOptions decode = preprocessing::DecodeOptionsFor(options.eval.preset);
  decode.honor_exif = options.honor_exif;
  if (options.train) {
    RandomStream random(options.seed, static_cast<uint64_t>(repeat) << 32 | number);
    return preprocessing::DecodeForTrain(
        AsBytes(bytes), decode, ObjectsOf(image, options), *options.train, random, dst);
  }
  RETURN_IF_ERROR(
      preprocessing::DecodeForEval(AsBytes(bytes), decode, options.eval, dst));
  return std::nullopt;
}

std::string Quoted(std::string_view text) {
  const std::string printable =
      FindInvalidUtf8(text) ? Printable(text) : std::string(text);
  return boost::json::serialize(boost::json::string(printable));
}

std::string_view MethodName(image::ResizeMethod method) {
  switch (method) {
    case image::ResizeMethod::kBilinear:
      return "bilinear";
    case image::ResizeMethod::kNearest:
      return "nearest";
    case image::ResizeMethod::kBicubic:
      return "bicubic";
    default:
      return "area";
  }
}

}  // namespace

absl::StatusOr<std::optional<Augmentation>> PreprocessItem(
    const DatasetImage& image, size_t number, int repeat,
    const PreprocessOptions& options, std::span<float> dst) {
  try {
    return Run(image, number, repeat, options, dst);
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("out of memory");
  }
}

std::string DescribeItem(const DatasetImage& image, size_t number, int repeat,
                         const std::string& output,
                         const std::optional<Augmentation>& drawn) {
  std::string line = fmt::format("{{\"file\":{},\"number\":{},\"repeat\":{}",
                                 Quoted(image.input.name), number, repeat);
  if (!output.empty()) line += fmt::format(",\"output\":{}", Quoted(output));
  if (image.label >= 0) {
    line +=
        fmt::format(",\"label\":{},\"class\":{}", image.label, Quoted(image.class_name));
  }
  if (drawn) {
    const auto& box = drawn->box;
    // Floats as short as they can be read back.
    line += fmt::format(
        ",\"box\":[{},{},{},{}],\"resize_method\":\"{}\",\"flip\":{},\"fast_mode\":{},"
        "\"color_ordering\":{},\"brightness\":{},\"saturation\":{},\"hue\":{},"
        "\"contrast\":{}",
        box.top, box.left, box.height, box.width, MethodName(drawn->resize_method),
        drawn->flip, drawn->fast_mode, drawn->color_ordering, drawn->colors.brightness,
        drawn->colors.saturation, drawn->colors.hue, drawn->colors.contrast);
  }
  return line + "}\n";
}

}  // namespace oriel::cli
