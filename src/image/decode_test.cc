#include "image/decode.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/digest.h"
#include "base/files.h"
#include "base/philox.h"
#include "base/testing.h"

namespace oriel::image {
namespace {

namespace fs = std::filesystem;

std::string ReadImage(const std::string& name) {
  return *ReadFile(TestData("preproc/" + name));
}

template <typename T>
std::string PixelHash(const std::vector<T>& pixels) {
  return HexDigest(DigestKind::kSha256, {reinterpret_cast<const uint8_t*>(pixels.data()),
                                         pixels.size() * sizeof(T)});
}

template <typename T>
std::string ShapeOf(const BasicImage<T>& image) {
  return fmt::format("{}x{}x{}", image.height, image.width, image.channels);
}

// "37x53x3 <sha256>" or "error -", as decode.tsv says it.
template <typename T>
std::string Describe(const absl::StatusOr<BasicImage<T>>& image) {
  if (image.ok()) return ShapeOf(*image) + " " + PixelHash(image->pixels);
  EXPECT_TRUE(absl::IsInvalidArgument(image.status())) << image.status().ToString();
  return "error -";
}

std::string DescribeFrames(Format format,
                           const absl::StatusOr<std::vector<Image>>& frames) {
  if (!frames.ok()) return "error -";
  // TensorFlow adds the dimension for the formats that can move.
  std::string shape = ShapeOf(frames->front());
  if (format == Format::kGif || format == Format::kWebp) {
    shape = fmt::format("{}x{}", frames->size(), shape);
  }
  std::vector<uint8_t> pixels;
  for (const Image& frame : *frames) {
    pixels.insert(pixels.end(), frame.pixels.begin(), frame.pixels.end());
  }
  return shape + " " + PixelHash(pixels);
}

std::string RunOperation(const std::string& operation, Bytes bytes) {
  DecodeOptions options;
  if (operation == "decode_png_u16") {
    options.channels = 0;
    return Describe(DecodePng16(bytes, options));
  }
  if (operation == "decode_image_c3_anim") {
    return DescribeFrames(SniffFormat(bytes), DecodeFrames(bytes, options));
  }
  if (operation.ends_with("_c0")) options.channels = 0;
  if (operation.ends_with("_c1")) options.channels = 1;
  if (operation.ends_with("_c4")) options.channels = 4;
  if (operation.ends_with("_accurate")) options.dct_method = DctMethod::kIntegerAccurate;
  if (operation.ends_with("_fast")) options.dct_method = DctMethod::kIntegerFast;
  if (operation.ends_with("_nofancy")) options.fancy_upscaling = false;
  if (operation.ends_with("_recover")) options.try_recover_truncated = true;
  return Describe(Decode(bytes, options));
}

// Every file, by every operation, as TensorFlow decodes it: the same shape and
// the same pixels, or an error where it has one.
void CheckTable(const std::string& name, const std::string& folder, int want_rows) {
  std::ifstream table(TestData("preproc/" + name));
  std::string line;
  int rows = 0;
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string file, operation, shape, hash;
    fields >> file >> operation >> shape >> hash;
    const std::string bytes = ReadImage(folder + file);
    EXPECT_EQ(RunOperation(operation, AsBytes(bytes)), shape + " " + hash)
        << file << " " << operation;
    ++rows;
  }
  EXPECT_EQ(rows, want_rows);
}

TEST(DecodeTest, PixelsAreTensorFlows) { CheckTable("decode.tsv", "images/", 305); }

TEST(DecodeTest, CornersOfTheFormatsAreTensorFlows) {
  CheckTable("decode_more.tsv", "more/", 275);
}

// TensorFlow wants exactly the file's channels of a WebP; Oriel drops alpha or
// adds it.
TEST(DecodeTest, WebpChannelsAreConverted) {
  for (const std::string name :
       {"alpha_lossless.webp", "alpha_lossy.webp", "animated.webp", "exif_big.webp"}) {
    const std::string bytes = ReadImage("more/" + name);
    ASSERT_OK_AND_ASSIGN(const Image file, Decode(AsBytes(bytes), {.channels = 0}));
    ASSERT_OK_AND_ASSIGN(const Image rgb, Decode(AsBytes(bytes), {.channels = 3}));
    ASSERT_OK_AND_ASSIGN(const Image rgba, Decode(AsBytes(bytes), {.channels = 4}));
    const size_t pixels = size_t(file.height) * file.width;
    ASSERT_EQ(rgb.pixels.size(), pixels * 3);
    ASSERT_EQ(rgba.pixels.size(), pixels * 4);
    for (size_t i = 0; i < pixels; ++i) {
      for (int c = 0; c < 4; ++c) {
        const int want = c < file.channels ? file.pixels[i * file.channels + c] : 255;
        ASSERT_EQ(rgba.pixels[i * 4 + c], want) << name << " pixel " << i;
        if (c < 3) {
          ASSERT_EQ(rgb.pixels[i * 3 + c], want) << name << " pixel " << i;
        }
      }
    }
  }
}

// Against Pillow's exif_transpose: JPEG in all orientations and both byte orders,
// PNG before and after the data, WebP.
TEST(DecodeTest, ExifOrientationIsPillows) {
  std::ifstream table(TestData("preproc/exif.tsv"));
  std::string file, shape, hash;
  int rows = 0;
  for (; table >> file >> shape >> hash; ++rows) {
    const std::string bytes = ReadImage("more/" + file);
    DecodeOptions options;
    options.dct_method = DctMethod::kIntegerAccurate;
    options.honor_exif = true;
    EXPECT_EQ(Describe(Decode(AsBytes(bytes), options)), shape + " " + hash) << file;
    options.honor_exif = false;
    ASSERT_OK_AND_ASSIGN(const Image stored, Decode(AsBytes(bytes), options));
    EXPECT_EQ(ShapeOf(stored), "21x29x3") << file;
  }
  EXPECT_EQ(rows, 13);
}

TEST(DecodeTest, FormatsAreFoundByTheirFirstBytes) {
  EXPECT_EQ(SniffFormat(AsBytes(ReadImage("images/jpeg_420.jpg"))), Format::kJpeg);
  EXPECT_EQ(SniffFormat(AsBytes(ReadImage("images/png_rgb.png"))), Format::kPng);
  EXPECT_EQ(SniffFormat(AsBytes(ReadImage("images/gif_single.gif"))), Format::kGif);
  EXPECT_EQ(SniffFormat(AsBytes(ReadImage("images/bmp_24.bmp"))), Format::kBmp);
  EXPECT_EQ(SniffFormat(AsBytes(ReadImage("images/webp_lossy.webp"))), Format::kWebp);
  EXPECT_EQ(SniffFormat(AsBytes("RIFF....WAVEfmt ")), Format::kUnknown);
  EXPECT_EQ(SniffFormat({}), Format::kUnknown);
}

std::string ErrorOf(Bytes bytes, const DecodeOptions& options) {
  const auto image = Decode(bytes, options);
  if (image.ok()) return "decoded";
  EXPECT_TRUE(absl::IsInvalidArgument(image.status()));
  return std::string(Message(image.status()));
}

// Any part of any image is that part of the whole.
TEST(DecodePartTest, IsThatPartOfTheWhole) {
  RandomStream random(1, 2);
  int checked = 0;
  for (const auto& entry : fs::directory_iterator(TestData("preproc/images"))) {
    const std::string bytes = *ReadFile(entry.path());
    for (DecodeOptions options :
         {DecodeOptions{}, DecodeOptions{.channels = 1},
          DecodeOptions{.honor_exif = true},
          DecodeOptions{.dct_method = DctMethod::kIntegerAccurate},
          DecodeOptions{.fancy_upscaling = false},
          DecodeOptions{.try_recover_truncated = true}}) {
      const auto whole = Decode(AsBytes(bytes), options);
      for (int i = 0; i < 40; ++i) {
        Window part;
        const auto choose = [&](int height, int width) {
          part.height = 1 + static_cast<int>(random.Below(height));
          part.width = 1 + static_cast<int>(random.Below(width));
          part.top = static_cast<int>(random.Below(height - part.height + 1));
          part.left = static_cast<int>(random.Below(width - part.width + 1));
          return part;
        };
        const auto got = DecodePart(AsBytes(bytes), options, choose);
        ASSERT_EQ(got.status(), whole.status()) << entry.path();
        if (!got.ok()) break;
        ASSERT_EQ(got->pixels, Copied(ImageView(*whole).Crop(part)).pixels)
            << entry.path() << ": " << part.height << " x " << part.width << " at "
            << part.top << "," << part.left;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 7000);
}

TEST(DecodePartTest, CutOffImagesAreErrorsWhateverThePart) {
  for (const char* name : {"images/jpeg_420.jpg", "images/jpeg_prog_420.jpg"}) {
    const std::string bytes = ReadImage(name);
    for (size_t size = 0; size < bytes.size(); size += 7) {
      const std::string cut = bytes.substr(0, size);
      const auto part = DecodePart(AsBytes(cut), {}, [](int, int) {
        return Window{0, 0, 1, 1};
      });
      EXPECT_EQ(part.ok(), Decode(AsBytes(cut), {}).ok()) << name << " " << size;
    }
  }
}

TEST(DecodePartTest, DamagedImagesAreErrorsWhateverThePart) {
  int errors = 0;
  for (const char* name :
       {"images/jpeg_420.jpg", "images/jpeg_restart.jpg", "images/jpeg_gray_prog.jpg"}) {
    const std::string bytes = ReadImage(name);
    for (size_t bit = 0; bit < bytes.size() * 8; bit += 3) {
      std::string damaged = bytes;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
      const DecodeOptions options = {.max_pixels = 1 << 16};
      const auto whole = Decode(AsBytes(damaged), options);
      Window part;
      const auto got = DecodePart(AsBytes(damaged), options, [&](int height, int width) {
        part = {height / 3, width / 4, (height + 3) / 4, (width + 1) / 2};
        return part;
      });
      ASSERT_EQ(got.ok(), whole.ok()) << name << " bit " << bit;
      if (!got.ok()) {
        ++errors;
        continue;
      }
      ASSERT_EQ(got->pixels, Copied(ImageView(*whole).Crop(part)).pixels)
          << name << " bit " << bit;
    }
  }
  EXPECT_GT(errors, 100);
}

TEST(DecodePartTest, RefusesPartsOutside) {
  for (const char* name : {"images/jpeg_420.jpg", "images/png_rgb.png"}) {
    const std::string bytes = ReadImage(name);
    const auto outside = DecodePart(AsBytes(bytes), {}, [](int height, int width) {
      return Window{1, 0, height, width};
    });
    EXPECT_TRUE(absl::IsInvalidArgument(outside.status()));
    const auto refused = DecodePart(AsBytes(bytes), {}, [](int, int) {
      return absl::StatusOr<Window>(OutOfRange("no part"));
    });
    EXPECT_EQ(Message(refused.status()), "no part");
  }
}

TEST(DecodeTest, ErrorsSayWhatWasFound) {
  EXPECT_EQ(ErrorOf({}, {}), "no bytes, want a JPEG, PNG, GIF, BMP or WebP image");
  EXPECT_EQ(ErrorOf(AsBytes("%PDF-1.7 and so on"), {}),
            "not a JPEG, PNG, GIF, BMP or WebP image: 18 bytes that start with 25 50 44 "
            "46 2d 31 2e 37");
  EXPECT_EQ(ErrorOf(AsBytes("BM"), {.channels = 2}), "channels is 2, want 0, 1, 3 or 4");
  const std::string gif = ReadImage("images/gif_single.gif");
  EXPECT_EQ(ErrorOf(AsBytes(gif), {.channels = 1}), "GIF gives 0 or 3 channels, not 1");
  const std::string jpeg = ReadImage("images/jpeg_truncated.jpg");
  EXPECT_EQ(ErrorOf(AsBytes(jpeg), {}),
            "JPEG image is damaged or cut off: Premature end of input file");
  const std::string png = ReadImage("images/png_rgb.png");
  EXPECT_EQ(ErrorOf(AsBytes(png), {.max_pixels = 1960}),
            "PNG image of 53 x 37 pixels is over the limit of 1960 pixels");
  EXPECT_EQ(ErrorOf(AsBytes(png), {.max_pixels = 1961}), "decoded");
}

}  // namespace
}  // namespace oriel::image
