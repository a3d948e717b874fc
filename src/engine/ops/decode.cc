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

// Pixels in numbers of type `to`, as TensorFlow's DecodeImage makes them: 16 bits are
// 256 times as much as 8, floats are parts of the largest number that the file has.
template <typename From, typename To>
Tensor ConvertPixels(const Tensor& pixels, To scale) {
  Tensor converted(DTypeOf<To>::value, pixels.shape());
  const auto src = pixels.data<From>();
  const auto dst = converted.mutable_data<To>();
  for (size_t i = 0; i < src.size(); ++i) {
    dst[i] = static_cast<To>(static_cast<To>(src[i]) * scale);
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

// [frames,height,width,channels] for DecodeGif, and for DecodeImage of a format that has
// animations unless expand_animations is false; else [height,width,channels].
absl::StatusOr<Tensor> DecodeBytes(const OpSetup& setup, Bytes bytes,
                                   const image::DecodeOptions& options) {
  ASSIGN_OR_RETURN(const bool expand,
                   graph::GetBoolOr(setup.node(), "expand_animations", true));
  const std::string& op = setup.node().op();
  const bool gif = image::SniffFormat(bytes) == image::Format::kGif;
  if (op == "DecodeGif" || (op == "DecodeImage" && gif && expand)) {
    ASSIGN_OR_RETURN(const auto frames, image::DecodeFrames(bytes, options));
    return TensorOf<uint8_t>(frames, true);
  }
  ASSIGN_OR_RETURN(image::Image image, image::Decode(bytes, options));
  return TensorOf<uint8_t>({std::move(image)}, false);
}

absl::StatusOr<Tensor> DecodePixels(const OpSetup& setup, Bytes bytes,
                                    const image::DecodeOptions& options, DType dtype) {
  if (dtype == DType::kUInt8) return DecodeBytes(setup, bytes, options);
  if (image::SniffFormat(bytes) == image::Format::kPng) {
    ASSIGN_OR_RETURN(image::Image16 deep, image::DecodePng16(bytes, options));
    const Tensor pixels = TensorOf<uint16_t>({std::move(deep)}, false);
    if (dtype == DType::kUInt16) return pixels;
    return ConvertPixels<uint16_t>(pixels, 1.0f / 65535);
  }
  ASSIGN_OR_RETURN(const Tensor pixels, DecodeBytes(setup, bytes, options));
  if (dtype == DType::kUInt16) return ConvertPixels<uint8_t>(pixels, uint16_t{256});
  return ConvertPixels<uint8_t>(pixels, 1.0f / 255);
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
  const auto pixels = DecodePixels(setup, AsBytes(contents.strings()[0]), options, dtype);
  if (!pixels.ok()) return Annotate(pixels.status(), setup.where());
  setup.AddConstant(*pixels);
  return absl::OkStatus();
}

}  // namespace oriel::engine
