// JPEG through libjpeg-turbo with TensorFlow's settings and its rules for CMYK
// and for data that ends early (core/lib/jpeg/jpeg_mem.cc).

// jpeglib.h needs FILE and size_t declared before it.
#include <cstddef>
#include <cstdio>
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "image/codec.h"

namespace oriel::image {
namespace {

constexpr Format kFormat = Format::kJpeg;

// A bound on work: encoders write about ten scans, a hostile file can write
// thousands of some bytes each, and every one costs a pass over the image.
int MostScans(uint64_t pixels) {
  constexpr uint64_t kMostPixelPasses = uint64_t{1} << 31;
  return static_cast<int>(std::clamp<uint64_t>(kMostPixelPasses / pixels, 20, 200));
}

// The libjpeg objects of one image. libjpeg reports errors by longjmp: every call
// into it goes through Try, and nothing that needs a destructor lives in between.
class Decompressor {
 public:
  Decompressor(Bytes bytes, bool recover) : recover_(recover) {
    cinfo_.err = jpeg_std_error(&errors_);
    cinfo_.client_data = this;
    errors_.error_exit = OnError;
    errors_.output_message = [](j_common_ptr) {};  // warnings stay silent
    progress_.progress_monitor = OnProgress;
    source_.init_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = OnEndOfInput;
    source_.skip_input_data = OnSkip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = [](j_decompress_ptr) {};
    source_.next_input_byte = bytes.data();
    source_.bytes_in_buffer = bytes.size();
  }
  // Safe also where jpeg_create_decompress was not reached or failed.
  ~Decompressor() { jpeg_destroy_decompress(&cinfo_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  jpeg_decompress_struct& cinfo() { return cinfo_; }

  // Call inside Try, before anything else.
  void Create() {
    jpeg_create_decompress(&cinfo_);
    cinfo_.src = &source_;
    cinfo_.progress = &progress_;
  }

  void set_most_scans(int most_scans) { most_scans_ = most_scans; }

  // Runs `step`; kInvalidArgument with libjpeg's words where it fails. `step`
  // owns nothing: libjpeg may jump out of its middle.
  template <typename Step>
  absl::Status Try(Step step) {
    static_assert(std::is_trivially_destructible_v<Step>);
    if (setjmp(jump_) != 0) {
      return InvalidArgument("JPEG image is damaged or cut off: {}", message_);
    }
    step();
    return absl::OkStatus();
  }

 private:
  static Decompressor& Self(j_common_ptr cinfo) {
    return *static_cast<Decompressor*>(cinfo->client_data);
  }

  [[noreturn]] static void Fail(Decompressor& self, const char* message) {
    std::snprintf(self.message_, sizeof(self.message_), "%s", message);
    std::longjmp(self.jump_, 1);
  }

  [[noreturn]] static void OnError(j_common_ptr cinfo) {
    char message[JMSG_LENGTH_MAX];
    cinfo->err->format_message(cinfo, message);
    Fail(Self(cinfo), message);
  }

  static void OnProgress(j_common_ptr cinfo) {
    if (reinterpret_cast<j_decompress_ptr>(cinfo)->input_scan_number >
        Self(cinfo).most_scans_) {
      Fail(Self(cinfo), "too many scans");
    }
  }

  // libjpeg has no bytes left, by its own count: the decoders count on copies, and
  // source_ still says where the current unit of data (an MCU, a marker) began.
  // Recovering, TensorFlow lets them read that unit once more, and feeds the end
  // of the image where a unit ended with the bytes.
  static boolean OnEndOfInput(j_decompress_ptr cinfo) {
    static constexpr JOCTET kEndOfImage[2] = {0xff, JPEG_EOI};
    Decompressor& self = Self(reinterpret_cast<j_common_ptr>(cinfo));
    if (!self.recover_) ERREXIT(cinfo, JERR_INPUT_EOF);
    // Some units never end when read again (fill bytes of a marker).
    constexpr int kMostRefills = 1 << 20;
    if (self.source_.bytes_in_buffer > 0 && ++self.refills_ <= kMostRefills) return TRUE;
    if (++self.refills_ > 2 * kMostRefills) ERREXIT(cinfo, JERR_INPUT_EOF);
    WARNMS(cinfo, JWRN_JPEG_EOF);
    self.source_.next_input_byte = kEndOfImage;
    self.source_.bytes_in_buffer = sizeof(kEndOfImage);
    return TRUE;
  }

  static void OnSkip(j_decompress_ptr cinfo, long count) {
    Decompressor& self = Self(reinterpret_cast<j_common_ptr>(cinfo));
    if (count <= 0) return;
    if (static_cast<unsigned long>(count) > self.source_.bytes_in_buffer) {
      self.source_.bytes_in_buffer = 0;
      OnEndOfInput(cinfo);
      return;
    }
    self.source_.next_input_byte += count;
    self.source_.bytes_in_buffer -= count;
  }

  jpeg_decompress_struct cinfo_ = {};
  jpeg_error_mgr errors_ = {};
  jpeg_progress_mgr progress_ = {};
  jpeg_source_mgr source_ = {};
  std::jmp_buf jump_ = {};
  char message_[JMSG_LENGTH_MAX] = {};
  bool recover_;
  int most_scans_ = 0;
  int refills_ = 0;
};

// One row of CMYK to RGB. Adobe's files hold the inverse of the ink.
void CmykToRgb(const uint8_t* cmyk, int width, bool adobe, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int k = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      rgb[c] = adobe ? k * cmyk[c] / 255 : (255 - k) * (255 - cmyk[c]) / 255;
    }
  }
}

// Where rows go: through `cmyk`, unless null, to `pixels`.
struct RowTarget {
  uint8_t* pixels;
  size_t row_size;
  uint8_t* cmyk;
};

// Reads `count` rows. Called inside Try: plain pointers only.
void ReadRows(jpeg_decompress_struct& cinfo, int count, RowTarget target) {
  for (int y = 0; y < count; ++y) {
    uint8_t* const row = target.pixels + size_t(y) * target.row_size;
    uint8_t* to = target.cmyk != nullptr ? target.cmyk : row;
    // One row, or an error: the source never suspends.
    jpeg_read_scanlines(&cinfo, &to, 1);
    if (target.cmyk != nullptr) {
      CmykToRgb(target.cmyk, static_cast<int>(cinfo.output_width), cinfo.saw_Adobe_marker,
                row);
    }
  }
}

// Reads the header, checks what it says, and sets up the decoder.
absl::Status Begin(Decompressor& decompressor, Bytes bytes, const DecodeOptions& options,
                   int& channels) {
  jpeg_decompress_struct& cinfo = decompressor.cinfo();
  RETURN_IF_ERROR(decompressor.Try([&] {
    decompressor.Create();
    jpeg_read_header(&cinfo, TRUE);
  }));

  channels = options.channels != 0 ? options.channels : std::min(cinfo.num_components, 3);
  if (channels == 2) return InvalidArgument("JPEG image of 2 components, want 1, 3 or 4");
  RETURN_IF_ERROR(CheckSize(kFormat, cinfo.image_width, cinfo.image_height,
                            std::max(cinfo.num_components, channels), options));
  // With Huffman codes a block of 8x8 samples takes a bit or more, and of three
  // components sampled 4x1, 1x4 and 1x1 there are 9 blocks for 32x32 pixels.
  constexpr uint64_t kMostPixelsPerByte = 1024;
  if (!options.try_recover_truncated && !cinfo.arith_code) {
    RETURN_IF_ERROR(CheckPlausible(kFormat, cinfo.image_width, cinfo.image_height,
                                   uint64_t{cinfo.image_width} * cinfo.image_height,
                                   kMostPixelsPerByte, bytes.size()));
  }

  decompressor.set_most_scans(
      MostScans(uint64_t{cinfo.image_width} * cinfo.image_height));

  const bool cmyk =
      cinfo.jpeg_color_space == JCS_CMYK || cinfo.jpeg_color_space == JCS_YCCK;
  cinfo.out_color_space = channels == 1 ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
  cinfo.do_fancy_upsampling = options.fancy_upscaling ? TRUE : FALSE;
  cinfo.dct_method =
      options.dct_method == DctMethod::kIntegerAccurate ? JDCT_ISLOW : JDCT_IFAST;
  return absl::OkStatus();
}

// A row of ink, where that is what libjpeg gives.
std::vector<uint8_t> CmykRow(const jpeg_decompress_struct& cinfo) {
  const bool cmyk = cinfo.out_color_space == JCS_CMYK;
  return std::vector<uint8_t>(cmyk ? size_t{cinfo.image_width} * 4 : 0);
}

absl::StatusOr<Image> ReadWhole(Decompressor& decompressor, int channels) {
  jpeg_decompress_struct& cinfo = decompressor.cinfo();
  Image image{static_cast<int>(cinfo.image_height),
              static_cast<int>(cinfo.image_width),
              channels,
              {}};
  const size_t row_size = size_t{cinfo.image_width} * channels;
  image.pixels.resize(row_size * cinfo.image_height);
  std::vector<uint8_t> cmyk_row = CmykRow(cinfo);
  const RowTarget target = {image.pixels.data(), row_size,
                            cmyk_row.empty() ? nullptr : cmyk_row.data()};
  RETURN_IF_ERROR(decompressor.Try([&] {
    jpeg_start_decompress(&cinfo);
    ReadRows(cinfo, static_cast<int>(cinfo.output_height), target);
    jpeg_finish_decompress(&cinfo);
  }));
  return image;
}

// Whether libjpeg would read what follows without an error: damage in a scan's data is
// none, so all that matters is that the scan ends with the end of the image. Its codes
// need not be read for that: in them no 0xff stands before anything but 0 and the
// restart markers.
bool EndsInOrder(const jpeg_decompress_struct& cinfo) {
  if (cinfo.arith_code) return false;
  const JOCTET* at = cinfo.src->next_input_byte;
  const JOCTET* const end = at + cinfo.src->bytes_in_buffer;
  int marker = cinfo.unread_marker;
  while (marker == 0 || (marker >= JPEG_RST0 && marker <= JPEG_RST0 + 7)) {
    at = static_cast<const JOCTET*>(std::memchr(at, 0xff, end - at));
    if (at == nullptr) return false;
    while (at != end && *at == 0xff) ++at;
    if (at == end) return false;
    marker = *at++;
  }
  return marker == JPEG_EOI;
}

// Blocks left and right of `part`, and rows above it, are read from the file but neither
// transformed nor coloured; rows below it are read where they could hold an error.
absl::StatusOr<Image> ReadPart(Decompressor& decompressor, int channels,
                               const Window& part) {
  jpeg_decompress_struct& cinfo = decompressor.cinfo();
  // Chroma is interpolated between neighbours, which the outermost columns of what
  // libjpeg crops to do not have.
  constexpr int kMargin = 4;
  const int right = part.left + part.width;
  JDIMENSION first = static_cast<JDIMENSION>(std::max(0, part.left - kMargin));
  JDIMENSION columns =
      std::min(cinfo.image_width, static_cast<JDIMENSION>(right + kMargin)) - first;
  // libjpeg moves `first` left to a block.
  constexpr size_t kWidestBlock = 32;
  std::vector<uint8_t> rows((columns + kWidestBlock) * channels * part.height);
  std::vector<uint8_t> cmyk_row = CmykRow(cinfo);
  uint8_t* const data = rows.data();
  uint8_t* const cmyk_data = cmyk_row.empty() ? nullptr : cmyk_row.data();
  std::vector<uint8_t> last_row(size_t{cinfo.image_width} * 4);
  uint8_t* last = last_row.data();
  size_t row_size = 0;
  RETURN_IF_ERROR(decompressor.Try([&] {
    jpeg_start_decompress(&cinfo);
    jpeg_crop_scanline(&cinfo, &first, &columns);
    row_size = size_t{columns} * channels;
    if (part.top > 0) jpeg_skip_scanlines(&cinfo, part.top);
    ReadRows(cinfo, part.height, {data, row_size, cmyk_data});
    if (EndsInOrder(cinfo)) return;
    // All but the last row: skipping to the end would not read the file to its end.
    const int below = static_cast<int>(cinfo.output_height) - part.top - part.height;
    if (below > 1) jpeg_skip_scanlines(&cinfo, below - 1);
    if (below > 0) jpeg_read_scanlines(&cinfo, &last, 1);
    jpeg_finish_decompress(&cinfo);
  }));
  const ImageView cropped = {data, part.height, static_cast<int>(columns), channels,
                             static_cast<int64_t>(row_size)};
  return Copied(
      cropped.Crop(0, part.left - static_cast<int>(first), part.height, part.width));
}

}  // namespace

absl::StatusOr<Image> DecodeJpeg(Bytes bytes, const DecodeOptions& options) {
  if (options.channels == 4) return ChannelsNotGiven(kFormat, "0, 1 or 3", 4);
  Decompressor decompressor(bytes, options.try_recover_truncated);
  int channels = 0;
  RETURN_IF_ERROR(Begin(decompressor, bytes, options, channels));
  return ReadWhole(decompressor, channels);
}

absl::StatusOr<Image> DecodeJpegPart(Bytes bytes, const DecodeOptions& options,
                                     const ChoosePart& choose) {
  if (options.channels == 4) return ChannelsNotGiven(kFormat, "0, 1 or 3", 4);
  Decompressor decompressor(bytes, options.try_recover_truncated);
  int channels = 0;
  RETURN_IF_ERROR(Begin(decompressor, bytes, options, channels));
  const int height = static_cast<int>(decompressor.cinfo().image_height);
  const int width = static_cast<int>(decompressor.cinfo().image_width);
  ASSIGN_OR_RETURN(const Window part, ChosenPart(choose, height, width));
  if (part == Window{0, 0, height, width}) return ReadWhole(decompressor, channels);
  // What is made up for missing data, what is smoothed over blocks because later scans of
  // a progressive file are missing, and what is upsampled together with the conversion of
  // colours depends on more than the part.
  if (options.try_recover_truncated || !options.fancy_upscaling ||
      jpeg_has_multiple_scans(&decompressor.cinfo())) {
    ASSIGN_OR_RETURN(const Image whole, ReadWhole(decompressor, channels));
    return Copied(ImageView(whole).Crop(part));
  }
  return ReadPart(decompressor, channels, part);
}

}  // namespace oriel::image
