#include "image/decode.h"

#include <array>
#include <new>

#include "image/codec.h"
#include "image/exif.h"

namespace oriel::image {
namespace {

using Decoder = absl::StatusOr<Image> (*)(Bytes, const DecodeOptions&);

struct Codec {
  Format format;
  std::string_view name;
  std::string_view magic;       // the file's first bytes
  std::string_view magic_at_8;  // and those from offset 8 on; may be empty
  Decoder decode;
};

constexpr std::array<Codec, 5> kCodecs = {{
    {Format::kJpeg, "JPEG", "\xff\xd8\xff", "", DecodeJpeg},
    {Format::kPng, "PNG", "\x89PNG\r\n\x1a\n", "", DecodePng},
    {Format::kGif, "GIF", "GIF8", "", DecodeGif},
    {Format::kBmp, "BMP", "BM", "", DecodeBmp},
    {Format::kWebp, "WebP", "RIFF", "WEBP", DecodeWebp},
}};

const Codec* FindCodec(Bytes bytes) {
  const std::string_view text = AsStringView(bytes);
  for (const Codec& codec : kCodecs) {
    if (!text.starts_with(codec.magic)) continue;
    if (codec.magic_at_8.empty() ||
        (text.size() > 8 && text.substr(8).starts_with(codec.magic_at_8))) {
      return &codec;
    }
  }
  return nullptr;
}

absl::StatusOr<const Codec*> NeedCodec(Bytes bytes, const DecodeOptions& options) {
  if (options.channels != 0 && options.channels != 1 && options.channels != 3 &&
      options.channels != 4) {
    return InvalidArgument("channels is {}, want 0, 1, 3 or 4", options.channels);
  }
  if (bytes.empty()) {
    return InvalidArgument("no bytes, want a JPEG, PNG, GIF, BMP or WebP image");
  }
  const Codec* codec = FindCodec(bytes);
  if (codec == nullptr) {
    return InvalidArgument(
        "not a JPEG, PNG, GIF, BMP or WebP image: {} bytes that start with {:02x}",
        bytes.size(), fmt::join(bytes.first(std::min<size_t>(bytes.size(), 8)), " "));
  }
  return codec;
}

// Runs `decode`, whose allocations are bounded but may still fail.
template <typename F>
auto CatchBadAlloc(F decode) -> decltype(decode()) {
  try {
    return decode();
  } catch (const std::bad_alloc&) {
    return ResourceExhausted("not enough memory to decode the image");
  }
}

}  // namespace

std::string_view FormatName(Format format) {
  for (const Codec& codec : kCodecs) {
    if (codec.format == format) return codec.name;
  }
  return "unknown";
}

Format SniffFormat(Bytes bytes) {
  const Codec* codec = FindCodec(bytes);
  return codec == nullptr ? Format::kUnknown : codec->format;
}

absl::StatusOr<Image> Decode(Bytes bytes, const DecodeOptions& options) {
  ASSIGN_OR_RETURN(const Codec* codec, NeedCodec(bytes, options));
  return CatchBadAlloc([&]() -> absl::StatusOr<Image> {
    ASSIGN_OR_RETURN(Image image, codec->decode(bytes, options));
    if (!options.honor_exif) return image;
    return Oriented(std::move(image), ExifOrientation(codec->format, bytes));
  });
}

absl::StatusOr<Image> DecodePart(Bytes bytes, const DecodeOptions& options,
                                 const ChoosePart& choose) {
  ASSIGN_OR_RETURN(const Codec* codec, NeedCodec(bytes, options));
  const bool turned = options.honor_exif && ExifOrientation(codec->format, bytes) != 1;
  return CatchBadAlloc([&]() -> absl::StatusOr<Image> {
    if (codec->format == Format::kJpeg && !turned) {
      return DecodeJpegPart(bytes, options, choose);
    }
    ASSIGN_OR_RETURN(Image image, Decode(bytes, options));
    ASSIGN_OR_RETURN(const Window part, ChosenPart(choose, image.height, image.width));
    if (part == Window{0, 0, image.height, image.width}) return image;
    return Copied(ImageView(image).Crop(part));
  });
}

absl::StatusOr<std::vector<Image>> DecodeFrames(Bytes bytes,
                                                const DecodeOptions& options) {
  ASSIGN_OR_RETURN(const Codec* codec, NeedCodec(bytes, options));
  if (codec->format == Format::kGif) {
    return CatchBadAlloc([&] { return DecodeGifFrames(bytes, options); });
  }
  ASSIGN_OR_RETURN(Image image, Decode(bytes, options));
  std::vector<Image> frames;
  frames.push_back(std::move(image));
  return frames;
}

absl::Status CheckSize(Format format, int64_t width, int64_t height, int samples,
                       const DecodeOptions& options) {
  const std::string_view name = FormatName(format);
  if (width <= 0 || height <= 0) {
    return InvalidArgument("{} image of {} x {} pixels", name, width, height);
  }
  // width and height are 32-bit numbers in every format.
  const uint64_t pixels = static_cast<uint64_t>(width) * static_cast<uint64_t>(height);
  if (pixels > options.max_pixels) {
    return InvalidArgument("{} image of {} x {} pixels is over the limit of {} pixels",
                           name, width, height, options.max_pixels);
  }
  constexpr uint64_t kMaxSamples = uint64_t{1} << 29;
  if (pixels >= kMaxSamples || pixels * samples >= kMaxSamples) {
    return InvalidArgument("{} image of {} x {} pixels is too large to decode", name,
                           width, height);
  }
  return absl::OkStatus();
}

absl::Status CheckPlausible(Format format, int64_t width, int64_t height, uint64_t units,
                            uint64_t most_per_byte, size_t size) {
  if (units / most_per_byte <= size) return absl::OkStatus();
  return InvalidArgument(
      "{} image of {} x {} pixels is cut off: its {} bytes cannot hold them",
      FormatName(format), width, height, size);
}

absl::StatusOr<Window> ChosenPart(const ChoosePart& choose, int height, int width) {
  ASSIGN_OR_RETURN(const Window part, choose(height, width));
  if (part.IsInside(height, width)) return part;
  return InvalidArgument("part of {} x {} at {},{} is outside an image of {} x {}",
                         part.height, part.width, part.top, part.left, height, width);
}

absl::Status ChannelsNotGiven(Format format, std::string_view given, int channels) {
  return InvalidArgument("{} gives {} channels, not {}", FormatName(format), given,
                         channels);
}

}  // namespace oriel::image
