#include "preprocessing/train.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <thread>
#include <vector>

#include "base/digest.h"
#include "base/files.h"
#include "base/testing.h"
#include "image/color.h"
#include "image/test_pattern.h"
#include "preprocessing/preprocess.h"
#include "preprocessing/tables.h"

namespace oriel::preprocessing {
namespace {

using image::Image;
using image::ResizeMethod;
using image::TestPattern;

std::string Hash(std::span<const float> values) {
  return HexDigest(DigestKind::kSha256,
                   {reinterpret_cast<const uint8_t*>(values.data()), values.size() * 4});
}

// What TensorFlow's steps, written one by one, make of known draws
// (tests/tensorflow/test_preprocess.py has more of them, end to end).
TEST(TrainTest, AugmentIsTensorFlows) {
  const std::map<std::string, ResizeMethod> methods = {
      {"bilinear", ResizeMethod::kBilinear},
      {"nearest", ResizeMethod::kNearest},
      {"bicubic", ResizeMethod::kBicubic},
      {"area", ResizeMethod::kArea}};
  int checked = 0;
  for (const auto& row : ReadTable("train.tsv")) {
    const Image image = TestPattern(std::stoi(row.at(0)), std::stoi(row.at(1)), 3);
    TrainOptions options;
    options.height = std::stoi(row.at(2));
    options.width = std::stoi(row.at(3));
    Augmentation augmentation;
    augmentation.box = {std::stoi(row.at(4)), std::stoi(row.at(5)), std::stoi(row.at(6)),
                        std::stoi(row.at(7))};
    augmentation.resize_method = methods.at(row.at(8));
    augmentation.flip = row.at(9) == "1";
    augmentation.fast_mode = row.at(10) == "1";
    augmentation.color_ordering = std::stoi(row.at(11));
    augmentation.colors = {std::stof(row.at(12)), std::stof(row.at(13)),
                           std::stof(row.at(14)), std::stof(row.at(15))};
    std::vector<float> got(size_t(options.height) * options.width * 3);
    ASSERT_OK(Augment(image, augmentation, options, got));
    const bool exact = augmentation.resize_method == ResizeMethod::kBilinear ||
                       augmentation.resize_method == ResizeMethod::kNearest;
    if (exact) {
      EXPECT_EQ(Hash(got), row.at(16)) << "row " << checked;
    }
    for (size_t i = 17; i < row.size(); i += 2) {
      EXPECT_NEAR(got.at(std::stoul(row[i])), std::stof(row[i + 1]), exact ? 0 : 1e-5)
          << "row " << checked << " element " << row[i];
    }
    ++checked;
  }
  EXPECT_EQ(checked, 64);
}

TrainOptions Options(int size, bool fast_mode = true) {
  TrainOptions options;
  options.height = options.width = size;
  options.fast_mode = fast_mode;
  return options;
}

constexpr int kDraws = 10000;

// kDraws * p, give or take what happens once in 100,000 times.
void ExpectShare(int count, double p, const std::string& what) {
  EXPECT_NEAR(count, kDraws * p, 4.42 * std::sqrt(kDraws * p * (1 - p))) << what;
}

// Values are even in [low, high): the Kolmogorov-Smirnov distance at p = 0.00001.
void ExpectUniform(std::vector<float> values, double low, double high,
                   const std::string& what) {
  std::sort(values.begin(), values.end());
  double distance = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_GE(values[i], low) << what;
    EXPECT_LE(values[i], high) << what;
    const double p = (values[i] - low) / (high - low);
    distance = std::max({distance, std::abs(p - double(i) / values.size()),
                         std::abs(p - double(i + 1) / values.size())});
  }
  EXPECT_LT(distance, 2.47 / std::sqrt(values.size())) << what;
}

TEST(TrainTest, DrawsHaveSlimsDistributions) {
  std::map<ResizeMethod, int> methods;
  std::array<int, 4> orderings = {};
  std::array<int, 16> pairs = {};
  int flips = 0;
  std::vector<float> brightness, saturation, hue, contrast;
  for (int i = 0; i < kDraws; ++i) {
    RandomStream random(11, i);
    ASSERT_OK_AND_ASSIGN(const Augmentation a,
                         DrawAugmentation(375, 500, {}, Options(299, false), random));
    EXPECT_FALSE(a.fast_mode);
    ++methods[a.resize_method];
    ++orderings.at(a.color_ordering);
    ++pairs.at(a.color_ordering * 4 + static_cast<int>(a.resize_method));
    flips += a.flip;
    brightness.push_back(a.colors.brightness);
    saturation.push_back(a.colors.saturation);
    hue.push_back(a.colors.hue);
    contrast.push_back(a.colors.contrast);
  }
  EXPECT_EQ(methods.size(), 4);
  for (const auto& [method, count] : methods) ExpectShare(count, 0.25, "method");
  for (const int count : orderings) ExpectShare(count, 0.25, "ordering");
  for (const int count : pairs) ExpectShare(count, 1 / 16.0, "ordering and method");
  ExpectShare(flips, 0.5, "flip");
  ExpectUniform(brightness, -32.0 / 255, 32.0 / 255, "brightness");
  ExpectUniform(saturation, 0.5, 1.5, "saturation");
  ExpectUniform(hue, -0.2, 0.2, "hue");
  ExpectUniform(contrast, 0.5, 1.5, "contrast");
}

TEST(TrainTest, ModesDrawWhatSlimsDo) {
  TrainOptions later = Options(299);
  TrainOptions earlier = Options(299);
  earlier.one_ordering_when_fast = false;
  TrainOptions uncropped = Options(299, false);
  uncropped.random_crop = false;
  std::array<int, 4> orderings = {};
  for (int i = 0; i < kDraws; ++i) {
    RandomStream a(5, i), b(5, i), c(5, i), d(5, i);
    ASSERT_OK_AND_ASSIGN(const auto fast, DrawAugmentation(90, 80, {}, later, a));
    ASSERT_OK_AND_ASSIGN(const auto old, DrawAugmentation(90, 80, {}, earlier, b));
    ASSERT_OK_AND_ASSIGN(const auto slow,
                         DrawAugmentation(90, 80, {}, Options(299, false), c));
    ASSERT_OK_AND_ASSIGN(const auto whole, DrawAugmentation(90, 80, {}, uncropped, d));
    EXPECT_EQ(fast.color_ordering, 0);
    EXPECT_EQ(fast.resize_method, ResizeMethod::kBilinear);
    EXPECT_EQ(old.resize_method, ResizeMethod::kBilinear);
    ++orderings.at(old.color_ordering);
    EXPECT_EQ(slow.box, fast.box);
    EXPECT_EQ(slow.flip, whole.flip);
    EXPECT_EQ(whole.box, (PixelBox{0, 0, 90, 80}));
  }
  for (const int count : orderings) ExpectShare(count, 0.25, "ordering");
}

TEST(TrainTest, SameStreamSameImageWhateverTheThread) {
  const Image image = TestPattern(120, 90, 3);
  const TrainOptions options = Options(64, false);
  const auto run = [&](uint64_t seed, uint64_t stream) {
    RandomStream random(seed, stream);
    std::vector<float> dst(64 * 64 * 3);
    EXPECT_OK(PreprocessForTrain(image, {}, options, random, dst));
    return dst;
  };
  std::array<std::vector<float>, 6> alone, together;
  for (int i = 0; i < 6; ++i) alone[i] = run(9, i);
  std::vector<std::thread> threads;
  for (int i = 5; i >= 0; --i) {
    threads.emplace_back([&, i] { together[i] = run(9, i); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(alone, together);
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[0], run(10, 0));
  for (const float v : alone[0]) {
    ASSERT_GE(v, -1);
    ASSERT_LE(v, 1);
  }
}

TEST(TrainTest, APartIsAsGoodAsTheWhole) {
  const Image image = TestPattern(50, 70, 3);
  const TrainOptions options = Options(33, false);
  RandomStream random(1, 1);
  ASSERT_OK_AND_ASSIGN(const auto drawn, DrawAugmentation(50, 70, {}, options, random));
  const PixelBox& box = drawn.box;
  std::vector<float> want(33 * 33 * 3), got(33 * 33 * 3);
  ASSERT_OK(Augment(image, drawn, options, want));
  const auto part =
      image::ImageView(image).Crop(box.top, box.left, box.height, box.width);
  ASSERT_OK(AugmentPart(part, drawn, options, got));
  EXPECT_EQ(got, want);
  EXPECT_TRUE(absl::IsInvalidArgument(AugmentPart(image, drawn, options, got)));
}

TEST(TrainTest, AFileIsAsGoodAsItsPixels) {
  for (const char* name : {"jpeg_420.jpg", "jpeg_prog_444_q98.jpg", "png_palette.png"}) {
    const std::string bytes = *ReadFile(TestData(std::string("preproc/images/") + name));
    ASSERT_OK_AND_ASSIGN(const Image image, image::Decode(AsBytes(bytes), {}));
    const TrainOptions options = Options(29, false);
    for (int i = 0; i < 20; ++i) {
      RandomStream a(1, i), b(1, i);
      std::vector<float> want(29 * 29 * 3), got(29 * 29 * 3);
      ASSERT_OK(PreprocessForTrain(image, {}, options, a, want));
      ASSERT_OK(DecodeForTrain(AsBytes(bytes), {}, {}, options, b, got).status());
      EXPECT_EQ(got, want) << name << " " << i;
    }
  }
  RandomStream random(1, 1);
  std::vector<float> dst(29 * 29 * 3);
  EXPECT_TRUE(absl::IsInvalidArgument(
      DecodeForTrain(AsBytes("GIF8"), {}, {}, Options(29), random, dst).status()));
}

TEST(TrainTest, DistortedBoundingBoxCropViewsTheImage) {
  const Image image = TestPattern(40, 30, 3);
  RandomStream random(2, 3);
  ASSERT_OK_AND_ASSIGN(const DistortedCrop crop,
                       DistortedBoundingBoxCrop(image, {}, {}, random));
  EXPECT_EQ(crop.image.height, crop.box.height);
  EXPECT_EQ(crop.image.data,
            image.pixels.data() + (crop.box.top * 30 + crop.box.left) * 3);
}

TEST(TrainTest, PreprocessImageIsBoth) {
  const Image image = TestPattern(80, 60, 3);
  RandomStream unused(1, 1);
  // Evaluation.
  std::vector<float> want(20 * 25 * 3);
  ASSERT_OK(PreprocessForEval(image, {.height = 20, .width = 25}, want));
  PreprocessImageOptions options = {.height = 20, .width = 25};
  ASSERT_OK_AND_ASSIGN(auto got, PreprocessImage(image, {}, options, unused));
  EXPECT_EQ(got.pixels, want);
  options.crop_image = false;
  ASSERT_OK(
      PreprocessForEval(image, {.height = 20, .width = 25, .central_fraction = 1}, want));
  ASSERT_OK_AND_ASSIGN(got, PreprocessImage(image, {}, options, unused));
  EXPECT_EQ(got.pixels, want);
  // Without a size: the central part as it is.
  ASSERT_OK_AND_ASSIGN(got, PreprocessImage(image, {}, {}, unused));
  EXPECT_EQ(got.height, 70);
  EXPECT_EQ(got.width, 54);
  EXPECT_EQ(got.pixels[0],
            (image.pixels[(5 * 60 + 3) * 3] * static_cast<float>(1 / 255.0) - 0.5f) * 2);
  // Training.
  TrainOptions train = Options(24, false);
  RandomStream a(4, 4), b(4, 4);
  want.resize(24 * 24 * 3);
  ASSERT_OK(PreprocessForTrain(image, {}, train, a, want));
  ASSERT_OK_AND_ASSIGN(
      got, PreprocessImage(
               image, {},
               {.height = 24, .width = 24, .is_training = true, .fast_mode = false}, b));
  EXPECT_EQ(got.pixels, want);
  EXPECT_TRUE(absl::IsInvalidArgument(
      PreprocessImage(image, {}, {.is_training = true}, unused).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      PreprocessImage(image, {}, {.height = 9000, .width = 1}, unused).status()));
}

TEST(TrainTest, RefusesWhatMakesNoSense) {
  std::vector<float> pixels(12, 0.5f);
  for (const int ordering : {-1, 4}) {
    EXPECT_EQ(Message(DistortColor(pixels, {}, ordering, false)),
              "color_ordering must be in [0, 3]");
    EXPECT_OK(DistortColor(pixels, {}, ordering, true));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(DistortColor({pixels.data(), 2}, {})));
  const Image image = TestPattern(10, 10, 3);
  std::vector<float> dst(48);
  Augmentation whole;
  whole.box = {0, 0, 10, 10};
  EXPECT_OK(Augment(image, whole, Options(4), dst));
  EXPECT_TRUE(absl::IsInvalidArgument(Augment(image, whole, Options(5), dst)));
  EXPECT_TRUE(
      absl::IsInvalidArgument(Augment(TestPattern(10, 10, 4), whole, Options(4), dst)));
  for (const PixelBox& box : {PixelBox{1, 0, 10, 10}, PixelBox{0, -1, 5, 5},
                              PixelBox{0, 0, 0, 5}, PixelBox{0, 0, 11, 5}}) {
    Augmentation outside;
    outside.box = box;
    EXPECT_TRUE(absl::IsInvalidArgument(Augment(image, outside, Options(4), dst)));
  }
  whole.fast_mode = false;
  whole.color_ordering = 7;
  EXPECT_TRUE(absl::IsInvalidArgument(Augment(image, whole, Options(4), dst)));
}

}  // namespace
}  // namespace oriel::preprocessing
