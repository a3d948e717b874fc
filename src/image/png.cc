// PNG through libspng. The library decompresses and unfilters; samples are
// converted here, by the rules that TensorFlow asks of libpng
// (core/lib/png/png_io.cc): 16 bits are cut to their upper 8, low-bit gray is
// stretched, alpha is dropped where it is not wanted, colour to gray is weighted.

#include <spng.h>

#include <array>
#include <cstring>
#include <memory>
#include <type_traits>

#include "image/codec.h"

namespace oriel::image {
namespace {

constexpr Format kFormat = Format::kPng;

struct FreeContext {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, FreeContext>;

absl::Status Check(int error) {
  if (error == SPNG_OK) return absl::OkStatus();
  if (error == SPNG_EOVERFLOW) {
    return InvalidArgument("PNG image is too large to decode");
  }
  return InvalidArgument("PNG image is damaged or cut off: {}", spng_strerror(error));
}

int SamplesPerPixel(int color_type) {
  switch (color_type) {
    case SPNG_COLOR_TYPE_TRUECOLOR:
      return 3;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      return 2;
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
      return 4;
    default:
      return 1;
  }
}

struct Rgba {
  uint16_t r, g, b, a;
};

// The file's samples, as the header describes them, to those of the result.
template <typename T>
class RowConverter {
 public:
  RowConverter(const spng_ihdr& header, spng_ctx* context, int channels)
      : width_(static_cast<int>(header.width)),
        bit_depth_(header.bit_depth),
        color_type_(header.color_type),
        channels_(channels) {
    has_trns_ = spng_get_trns(context, &trns_) == SPNG_OK;
    if (color_type_ != SPNG_COLOR_TYPE_INDEXED) return;
    // Indices past the palette are black, as in libpng.
    palette_.fill({0, 0, 0, has_trns_ ? uint16_t{255} : FillerAlpha()});
    spng_plte plte = {};
    spng_get_plte(context, &plte);
    for (uint32_t i = 0; i < plte.n_entries && i < palette_.size(); ++i) {
      palette_[i].r = plte.entries[i].red;
      palette_[i].g = plte.entries[i].green;
      palette_[i].b = plte.entries[i].blue;
    }
    if (!has_trns_) return;
    for (uint32_t i = 0; i < trns_.n_type3_entries && i < palette_.size(); ++i) {
      palette_[i].a = trns_.type3_alpha[i];
    }
  }

  // `from` is a row in SPNG_FMT_PNG: packed below 8 bits, host-endian 16 bits.
  void Convert(const uint8_t* from, T* to) const {
    if (std::is_same_v<T, uint8_t> && bit_depth_ == 8 &&
        color_type_ != SPNG_COLOR_TYPE_INDEXED &&
        channels_ == SamplesPerPixel(color_type_)) {
      std::memcpy(to, from, size_t(width_) * channels_);
      return;
    }
    for (int x = 0; x < width_; ++x, to += channels_) {
      const Rgba pixel = Read(from, x);
      if (channels_ < 3) {
        to[0] = Store(Gray(pixel));
        if (channels_ == 2) to[1] = Store(pixel.a);
        continue;
      }
      to[0] = Store(pixel.r);
      to[1] = Store(pixel.g);
      to[2] = Store(pixel.b);
      if (channels_ == 4) to[3] = Store(pixel.a);
    }
  }

 private:
  // Samples of 16-bit files are 16 bits wide, of all others 8.
  bool wide() const { return bit_depth_ == 16; }

  // Alpha of files that have none. TensorFlow counts it in the file's bit depth,
  // so that it is not 255 for files of 1, 2 and 4 bits.
  uint16_t FillerAlpha() const { return (1 << bit_depth_) - 1; }

  Rgba Read(const uint8_t* row, int x) const {
    const uint16_t opaque = has_trns_ ? (wide() ? 65535 : 255) : FillerAlpha();
    switch (color_type_) {
      case SPNG_COLOR_TYPE_GRAYSCALE: {
        const uint16_t raw = Sample(row, x);
        // v * (255 / (2^depth - 1)): 255, 85, 17 times
        const uint16_t v = bit_depth_ < 8 ? raw * (255 / ((1 << bit_depth_) - 1)) : raw;
        return {v, v, v, has_trns_ && raw == trns_.gray ? uint16_t{0} : opaque};
      }
      case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA: {
        const uint16_t v = Sample(row, 2 * x);
        return {v, v, v, Sample(row, 2 * x + 1)};
      }
      case SPNG_COLOR_TYPE_TRUECOLOR: {
        Rgba p = {Sample(row, 3 * x), Sample(row, 3 * x + 1), Sample(row, 3 * x + 2),
                  opaque};
        if (has_trns_ && p.r == trns_.red && p.g == trns_.green && p.b == trns_.blue) {
          p.a = 0;
        }
        return p;
      }
      case SPNG_COLOR_TYPE_INDEXED:
        return palette_[Sample(row, x)];
      default:  // SPNG_COLOR_TYPE_TRUECOLOR_ALPHA; libspng checked the header
        return {Sample(row, 4 * x), Sample(row, 4 * x + 1), Sample(row, 4 * x + 2),
                Sample(row, 4 * x + 3)};
    }
  }

  uint16_t Sample(const uint8_t* row, int i) const {
    if (bit_depth_ == 8) return row[i];
    if (bit_depth_ == 16) return LoadLittleEndian<uint16_t>(row + 2 * size_t(i));
    const int bit = i * bit_depth_;              // i < 2^29 / 4
    const int shift = 8 - bit_depth_ - bit % 8;  // leftmost first
    return row[bit / 8] >> shift & ((1 << bit_depth_) - 1);
  }

  // libpng's weighting with 0.299, 0.587 and what is left of 1, in 2^-15; cut
  // off for 8 bits, rounded for 16.
  uint16_t Gray(const Rgba& p) const {
    constexpr uint32_t kRed = 29900u * 32768 / 100000;
    constexpr uint32_t kGreen = 58700u * 32768 / 100000;
    constexpr uint32_t kBlue = 32768 - kRed - kGreen;
    if (p.r == p.g && p.g == p.b) return p.r;
    const uint32_t sum = kRed * p.r + kGreen * p.g + kBlue * p.b;
    return (sum + (wide() ? 16384 : 0)) >> 15;
  }

  T Store(uint16_t v) const {
    if constexpr (std::is_same_v<T, uint8_t>) {
      return wide() ? v >> 8 : v;
    } else {
      return wide() ? v : v * 257;
    }
  }

  int width_;
  int bit_depth_;
  int color_type_;
  int channels_;
  bool has_trns_ = false;
  spng_trns trns_ = {};
  std::array<Rgba, 256> palette_ = {};
};

// Channels of the result when the caller leaves it to the file. Transparency of
// a palette counts, that of one gray or colour does not.
int NaturalChannels(const spng_ihdr& header, spng_ctx* context) {
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
      return 1;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      return 2;
    case SPNG_COLOR_TYPE_INDEXED: {
      spng_trns trns;
      return spng_get_trns(context, &trns) == SPNG_OK ? 4 : 3;
    }
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
      return 4;
    default:
      return 3;
  }
}

// libspng hands out rows of a plain image in order, one at a time.
template <typename T>
absl::Status ReadRows(spng_ctx* context, size_t row_size,
                      const RowConverter<T>& converter, BasicImage<T>& image) {
  std::vector<uint8_t> row(row_size);
  for (int y = 0; y < image.height; ++y) {
    const int error = spng_decode_row(context, row.data(), row.size());
    // The last row ends the image in the same call.
    if (error != SPNG_EOI || y != image.height - 1) RETURN_IF_ERROR(Check(error));
    converter.Convert(row.data(), image.row(y));
  }
  return absl::OkStatus();
}

// Each pass of an interlaced image fills in pixels of rows all over it.
template <typename T>
absl::Status ReadPasses(spng_ctx* context, size_t row_size,
                        const RowConverter<T>& converter, BasicImage<T>& image) {
  std::vector<uint8_t> rows(row_size * image.height);
  int error = SPNG_OK;
  while (error == SPNG_OK) {
    spng_row_info info = {};
    error = spng_get_row_info(context, &info);
    if (error != SPNG_OK) break;
    error = spng_decode_row(context, rows.data() + info.row_num * row_size, row_size);
  }
  if (error != SPNG_EOI) return Check(error);
  for (int y = 0; y < image.height; ++y) {
    converter.Convert(rows.data() + y * row_size, image.row(y));
  }
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<BasicImage<T>> DecodeTo(Bytes bytes, const DecodeOptions& options) {
  // libpng warns of a wrong checksum at the end of the data, and reads on.
  const Context context(spng_ctx_new(SPNG_CTX_IGNORE_ADLER32));
  if (context == nullptr) return ResourceExhausted("no memory for a PNG decoder");
  // As libpng: damaged ancillary chunks are passed over.
  spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
  constexpr size_t kMostChunkBytes = size_t{64} << 20;
  spng_set_chunk_limits(context.get(), kMostChunkBytes, kMostChunkBytes);
  RETURN_IF_ERROR(Check(spng_set_png_buffer(context.get(), bytes.data(), bytes.size())));
  spng_ihdr header = {};
  RETURN_IF_ERROR(Check(spng_get_ihdr(context.get(), &header)));

  const int samples = SamplesPerPixel(header.color_type);
  RETURN_IF_ERROR(CheckSize(kFormat, header.width, header.height,
                            std::max(samples, options.channels), options));
  // Deflate spends two bits or more on 258 bytes.
  constexpr uint64_t kMostBytesPerByte = 1032;
  const size_t row_size = (size_t{header.width} * samples * header.bit_depth + 7) / 8;
  RETURN_IF_ERROR(CheckPlausible(kFormat, header.width, header.height,
                                 uint64_t{row_size} * header.height, kMostBytesPerByte,
                                 bytes.size()));

  const int channels =
      options.channels != 0 ? options.channels : NaturalChannels(header, context.get());
  BasicImage<T> image{
      static_cast<int>(header.height), static_cast<int>(header.width), channels, {}};
  image.pixels.resize(size_t{header.width} * header.height * channels);
  RETURN_IF_ERROR(Check(spng_decode_image(context.get(), nullptr, 0, SPNG_FMT_PNG,
                                          SPNG_DECODE_PROGRESSIVE)));
  // The palette and its transparency are known from here on.
  const RowConverter<T> converter(header, context.get(), channels);
  RETURN_IF_ERROR(header.interlace_method == SPNG_INTERLACE_NONE
                      ? ReadRows(context.get(), row_size, converter, image)
                      : ReadPasses(context.get(), row_size, converter, image));
  // The chunks that follow: a file without its end was cut off.
  RETURN_IF_ERROR(Check(spng_decode_chunks(context.get())));
  return image;
}

}  // namespace

absl::StatusOr<Image> DecodePng(Bytes bytes, const DecodeOptions& options) {
  return DecodeTo<uint8_t>(bytes, options);
}

absl::StatusOr<Image16> DecodePng16(Bytes bytes, const DecodeOptions& options) {
  if (SniffFormat(bytes) != kFormat) return InvalidArgument("not a PNG image");
  return DecodeTo<uint16_t>(bytes, options);
}

}  // namespace oriel::image
