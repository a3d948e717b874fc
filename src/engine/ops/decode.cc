// DecodeJpeg, DecodePng, DecodeGif, DecodeBmp, DecodeImage: of bytes that are known, as
// they are to DynamicPlan. The pixels are TensorFlow's (image/decode.h).

#include "image/decode.h"

#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

template <typename T>
Tensor TensorOf(const std::vector<image::BasicImage<T>>& frames, bool animation) {
  const image::BasicImage<T>& first = frames.front();
  std::vector<int64_t> dims{first.height, first.width, first.channels};
  if (animation) dims.insert(dims.begin(), static_cast<int64_t>(frames.size()));
  Tensor tensor(DTypeOf<T>::value, Shape(std::move(dims)));
  T* dst = tensor.mutable_data<T>().data();
  for (const auto& frame : frames) {
    dst = std::copy(frame.pixels.begin(), frame.pixels.end(), dst);
  }
  return tensor;
}

// Pixels in numbers of type `to`, as tf.image.convert_image_dtype makes them.
Tensor ConvertPixels(const Tensor& bytes, DType to) {
  if (to == DType::kUInt8) return bytes;
  Tensor converted(to, bytes.shape());
  const auto src = bytes.data<uint8_t>();
  for (size_t i = 0; i < src.size(); ++i) {
    if (to == DType::kUInt16) {
      converted.mutable_data<uint16_t>()[i] = static_cast<uint16_t>(src[i] * 257);
    } else {
      converted.mutable_data<float>()[i] = static_cast<float>(src[i]) * (1.0f / 255);
    }
  }
  return converted;
}

absl::StatusOr<image::DctMethod> ReadDctMethod(const OpSetup& setup) {
  ASSIGN_OR_RETURN(const std::string name,
                   graph::GetStringOr(setup.node(), "dct_method", ""));
  if (name.empty()) return image::DctMethod::kDefault;
  if (name == "INTEGER_FAST") return image::DctMethod::kIntegerFast;
  if (name == "INTEGER_ACCURATE") return image::DctMethod::kIntegerAccurate;
  return setup.Invalid("dct_method is '{}'", name);
}

absl::StatusOr<image::DecodeOptions> ReadDecodeOptions(const OpSetup& setup) {
  image::DecodeOptions options;
  const std::string& op = setup.node().op();
  const int64_t most = op == "DecodeGif" ? 3 : 4;
  ASSIGN_OR_RETURN(const int64_t channels,
                   graph::GetIntOr(setup.node(), "channels", op == "DecodeGif" ? 3 : 0));
  if (channels < 0 || channels == 2 || channels > most) {
    return setup.Invalid("channels is {}", channels);
  }
  options.channels = static_cast<int>(channels);
  if (op != "DecodeJpeg") return options;
  ASSIGN_OR_RETURN(options.dct_method, ReadDctMethod(setup));
  ASSIGN_OR_RETURN(options.fancy_upscaling,
                   graph::GetBoolOr(setup.node(), "fancy_upscaling", true));
  ASSIGN_OR_RETURN(options.try_recover_truncated,
                   graph::GetBoolOr(setup.node(), "try_recover_truncated", false));
  ASSIGN_OR_RETURN(const int64_t ratio, graph::GetIntOr(setup.node(), "ratio", 1));
  if (ratio != 1) return setup.Unsupported("ratio is {}, want 1", ratio);
  return options;
}

}  // namespace

absl::Status SetupDecodeImage(OpSetup& setup) {
  RETURN_IF_ERROR(setup.WantInputs(1));
  if (setup.dtype(0) != DType::kString) {
    return setup.Invalid("the input is {}, want string", DTypeName(setup.dtype(0)));
  }
  if (!setup.IsConstant(0)) {
    return setup.Unsupported("decodes images, which a plan does not: feed its result");
  }
  const Tensor& contents = setup.ConstantValue(0);
  if (contents.strings().size() != 1) {
    return setup.Unsupported("decodes one image, the input has shape {}",
                             setup.shape(0).ToString());
  }
  ASSIGN_OR_RETURN(const image::DecodeOptions options, ReadDecodeOptions(setup));
  DType dtype = DType::kUInt8;
  if (setup.node().attr().contains("dtype")) {
    ASSIGN_OR_RETURN(dtype, graph::GetType(setup.node(), "dtype"));
  }
  if (dtype != DType::kUInt8 && dtype != DType::kUInt16 && dtype != DType::kFloat32) {
    return setup.Unsupported("dtype is {}", DTypeName(dtype));
  }
  const Bytes bytes = AsBytes(contents.strings()[0]);
  const bool gif = image::SniffFormat(bytes) == image::Format::kGif;
  ASSIGN_OR_RETURN(const bool expand,
                   graph::GetBoolOr(setup.node(), "expand_animations", true));
  const std::string& op = setup.node().op();
  const bool animation = op == "DecodeGif" || (op == "DecodeImage" && gif && expand);
  if (dtype == DType::kUInt16 && image::SniffFormat(bytes) == image::Format::kPng) {
    auto deep = image::DecodePng16(bytes, options);
    if (!deep.ok()) return Annotate(deep.status(), setup.where());
    setup.AddConstant(TensorOf<uint16_t>({*std::move(deep)}, false));
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<image::Image>> frames;
  if (animation) {
    frames = image::DecodeFrames(bytes, options);
  } else {
    auto image = image::Decode(bytes, options);
    frames = image.ok() ? absl::StatusOr<std::vector<image::Image>>(
                              std::vector<image::Image>{*std::move(image)})
                        : image.status();
  }
  if (!frames.ok()) return Annotate(frames.status(), setup.where());
  setup.AddConstant(ConvertPixels(TensorOf<uint8_t>(*frames, animation), dtype));
  return absl::OkStatus();
}

}  // namespace oriel::engine
