#include "preprocessing/preprocess.h"

#include <cmath>
#include <vector>

#include "base/digest.h"
#include "base/files.h"
#include "base/testing.h"
#include "image/decode.h"
#include "image/test_pattern.h"
#include "preprocessing/tables.h"

namespace oriel::preprocessing {
namespace {

using image::Image;

Image DecodeFile(const std::string& name) {
  const auto bytes = ReadFile(TestData("preproc/" + name));
  EXPECT_OK(bytes.status());
  auto image = image::Decode(AsBytes(*bytes), {});
  EXPECT_OK(image.status());
  return *std::move(image);
}

std::vector<float> Preprocess(image::ImageView image, const EvalOptions& options) {
  std::vector<float> dst(size_t(options.height) * options.width * 3);
  EXPECT_OK(PreprocessForEval(image, options, dst));
  return dst;
}

// preprocess_for_eval of TF-slim under TensorFlow, at 64 places of each image.
TEST(PreprocessTest, InceptionIsTensorFlows) {
  const auto positions = ReadTable("eval_positions.tsv").at(0);
  int checked = 0;
  for (const auto& row : ReadTable("eval.tsv")) {
    EvalOptions options;
    options.height = options.width = row.at(1).starts_with("eval_299") ? 299 : 139;
    if (row[1].ends_with("_nocrop")) options.central_fraction = 1;
    const auto got = Preprocess(DecodeFile("images/" + row[0]), options);
    for (size_t i = 0; i < positions.size(); ++i) {
      const size_t at = std::stoul(positions[i]) % got.size();
      EXPECT_EQ(got[at], static_cast<float>(std::stod(row.at(2 + i))))
          << row[0] << " " << row[1] << " element " << at;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 120);
}

// Pillow and NumPy (kTimm, kEfficientNetLite) and tf.image.resize (kKeras) on
// pictures of several shapes, smaller and larger than the result, to the bit.
TEST(PreprocessTest, OtherPresetsAreTheirModels) {
  int checked = 0;
  for (const auto& row : ReadTable("presets.tsv")) {
    EvalOptions options;
    ASSERT_OK_AND_ASSIGN(options.preset, PresetFromName(row.at(0)));
    const int height = std::stoi(row.at(1));
    const int width = std::stoi(row.at(2));
    options.height = options.width = std::stoi(row.at(3));
    const auto got = Preprocess(image::TestPattern(height, width, 3), options);
    const Bytes bytes = {reinterpret_cast<const uint8_t*>(got.data()),
                         got.size() * sizeof(float)};
    EXPECT_EQ(HexDigest(DigestKind::kSha256, bytes), row.at(4))
        << row[0] << " of " << height << " x " << width << " to " << options.height;
    ++checked;
  }
  EXPECT_EQ(checked, 42);
}

// tf.image.central_crop: a picture whose pixels tell their row shows which part
// was taken, when the result has as many rows as the part.
TEST(PreprocessTest, CentralCropIsTensorFlows) {
  int checked = 0;
  for (const auto& row : ReadTable("central_crop.tsv")) {
    const int size = std::stoi(row.at(0));
    const int start = std::stoi(row.at(1));
    const int length = std::stoi(row.at(2));
    Image image{size, 1, 3, {}};
    for (int y = 0; y < size; ++y) {
      image.pixels.insert(image.pixels.end(),
                          {static_cast<uint8_t>(y), static_cast<uint8_t>(y >> 8), 0});
    }
    EvalOptions options;
    options.height = length;
    options.width = 1;
    const auto got = Preprocess(image, options);
    const auto byte = [](float v) { return std::lround((v / 2 + 0.5) * 255); };
    for (int y = 0; y < length; ++y) {
      ASSERT_EQ(byte(got[y * 3]) + 256 * byte(got[y * 3 + 1]), start + y)
          << "size " << size;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 709);
}

TEST(PreprocessTest, AFileIsAsGoodAsItsPixels) {
  for (const char* name : {"jpeg_420.jpg", "jpeg_prog_444_q98.jpg", "png_palette.png"}) {
    const std::string bytes = *ReadFile(TestData(std::string("preproc/images/") + name));
    for (const Preset preset :
         {Preset::kInception, Preset::kKeras, Preset::kTimm, Preset::kEfficientNetLite}) {
      const image::DecodeOptions decode = DecodeOptionsFor(preset);
      const EvalOptions options = {preset, 31, 31};
      ASSERT_OK_AND_ASSIGN(const Image image, image::Decode(AsBytes(bytes), decode));
      std::vector<float> got(31 * 31 * 3);
      ASSERT_OK(DecodeForEval(AsBytes(bytes), decode, options, got));
      EXPECT_EQ(got, Preprocess(image, options)) << name << " " << PresetName(preset);
      EXPECT_TRUE(absl::IsInvalidArgument(
          DecodeForEval(AsBytes(bytes), decode, {preset, 30, 31}, got)));
      EXPECT_FALSE(DecodeForEval(AsBytes("GIF8"), decode, options, got).ok());
    }
  }
}

TEST(PreprocessTest, NamesAreKnown) {
  for (const char* name : {"inception", "keras", "timm", "efficientnet_lite"}) {
    ASSERT_OK_AND_ASSIGN(const Preset preset, PresetFromName(name));
    EXPECT_EQ(PresetName(preset), name);
  }
  const auto unknown = PresetFromName("vgg");
  EXPECT_EQ(Message(unknown.status()),
            "unknown preprocessing 'vgg', want one of 'inception', 'keras', 'timm', "
            "'efficientnet_lite'");
}

// An image that is neither cropped nor resized comes back.
TEST(PreprocessTest, ToBytesIsTheReverse) {
  const Image image = image::TestPattern(40, 40, 3);
  for (const Preset preset : {Preset::kInception, Preset::kKeras}) {
    const auto values = Preprocess(image, {preset, 40, 40, 1});
    std::vector<uint8_t> bytes(values.size());
    ToBytes(preset, values, bytes);
    EXPECT_EQ(bytes, image.pixels);
  }
  std::vector<float> values;
  for (int b = 0; b < 256; ++b) values.push_back((b - 127.0f) / 128.0f);
  values.insert(values.end(), {-5, 5, std::nanf("")});
  std::vector<uint8_t> bytes(values.size());
  ToBytes(Preset::kEfficientNetLite, values, bytes);
  for (int b = 0; b < 256; ++b) EXPECT_EQ(bytes[b], b);
  EXPECT_EQ(bytes[256], 0);
  EXPECT_EQ(bytes[257], 255);
  EXPECT_EQ(bytes[258], 0);
}

TEST(PreprocessTest, DecodersAreTheModels) {
  EXPECT_EQ(DecodeOptionsFor(Preset::kInception).dct_method,
            image::DctMethod::kIntegerFast);
  EXPECT_EQ(DecodeOptionsFor(Preset::kEfficientNetLite).dct_method,
            image::DctMethod::kIntegerAccurate);
  EXPECT_FALSE(DecodeOptionsFor(Preset::kEfficientNetLite).honor_exif);
}

absl::Status TryPreprocess(image::ImageView image, EvalOptions options, size_t elements) {
  std::vector<float> dst(elements);
  return PreprocessForEval(image, options, dst);
}

TEST(PreprocessTest, RefusesWhatDoesNotFit) {
  const Image image = image::TestPattern(9, 9, 3);
  const EvalOptions inception = {Preset::kInception, 4, 5};
  EXPECT_OK(TryPreprocess(image, inception, 60));
  EXPECT_TRUE(absl::IsInvalidArgument(TryPreprocess(image, inception, 59)));
  EXPECT_TRUE(
      absl::IsInvalidArgument(TryPreprocess(image::TestPattern(9, 9, 4), inception, 60)));
  for (const double fraction : {0.0, -0.5, 1.01, std::nan("")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        TryPreprocess(image, {Preset::kInception, 4, 5, fraction}, 60)));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      TryPreprocess(image, {Preset::kEfficientNetLite, 4, 5}, 60)));
  EXPECT_TRUE(absl::IsInvalidArgument(TryPreprocess(image, {Preset::kTimm, 0, 0}, 0)));
  EXPECT_TRUE(absl::IsInvalidArgument(TryPreprocess(
      image::TestPattern(1, 1, 3), {Preset::kEfficientNetLite, 8, 8}, 192)));
}

// Long and thin pictures cost no more memory than the part that is looked at.
TEST(PreprocessTest, ThinPicturesAreNotEnlargedWhole) {
  const Image tall = image::TestPattern(60000, 1, 3);
  const Image wide = image::TestPattern(1, 60000, 3);
  for (const Image* image : {&tall, &wide}) {
    for (const Preset preset : {Preset::kInception, Preset::kKeras, Preset::kTimm}) {
      EXPECT_OK(TryPreprocess(*image, {preset, 64, 64}, 64 * 64 * 3));
    }
  }
}

}  // namespace
}  // namespace oriel::preprocessing
