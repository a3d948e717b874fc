#include "image/color.h"

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/testing.h"
#include "tensor/npy.h"

namespace oriel::image {
namespace {

using Kind = ColorStep::Kind;

std::vector<float> Input() {
  const auto input = ReadNpy(TestData("preproc/color_input.npy"));
  EXPECT_OK(input.status());
  const auto values = input->data<float>();
  return {values.begin(), values.end()};
}

std::vector<ColorStep> ParseSteps(const std::string& text) {
  const std::map<char, Kind> kinds = {{'b', Kind::kBrightness},
                                      {'s', Kind::kSaturation},
                                      {'h', Kind::kHue},
                                      {'c', Kind::kContrast},
                                      {'|', Kind::kClip}};
  std::vector<ColorStep> steps;
  std::istringstream words(text);
  std::string word;
  while (words >> word) {
    steps.push_back(
        {kinds.at(word[0]), word.size() > 1 ? std::stof(word.substr(1)) : 0.0f});
  }
  return steps;
}

std::string Hash(const std::vector<float>& values) {
  return HexDigest(DigestKind::kSha256,
                   {reinterpret_cast<const uint8_t*>(values.data()), values.size() * 4});
}

// Single steps and slim's orders of them, to the bit.
TEST(ColorTest, IsTensorFlows) {
  std::ifstream table(TestData("preproc/color.tsv"));
  std::string line;
  int checked = 0;
  while (std::getline(table, line)) {
    const size_t tab = line.find('\t');
    const auto steps = ParseSteps(line.substr(0, tab));
    auto pixels = Input();
    AdjustColors(pixels, steps);
    EXPECT_EQ(Hash(pixels), line.substr(tab + 1)) << line;
    // One step after the other.
    auto stepwise = Input();
    for (const ColorStep& step : steps) AdjustColor(stepwise, step);
    EXPECT_EQ(stepwise, pixels) << line;
    ++checked;
  }
  EXPECT_EQ(checked, 90);
}

TEST(ColorTest, ClipAndToSigned) {
  std::vector<float> pixels = {-0.5f, 0.0f, 0.25f, 0.5f, 1.0f, 1.5f};
  AdjustColors(pixels, std::vector<ColorStep>{{Kind::kClip}, {Kind::kToSigned}});
  EXPECT_EQ(pixels, (std::vector<float>{-1, -1, -0.5f, 0, 1, 1}));
}

// Whatever lies in the last, unfilled tile.
TEST(ColorTest, PixelsDoNotDependOnTheirNeighbours) {
  const auto input = Input();
  const auto steps = ParseSteps("b0.1 s1.4 h0.15 |");
  auto whole = input;
  for (size_t repeat = 1; repeat < 4; ++repeat) {
    whole.insert(whole.end(), input.begin(), input.end());
  }
  AdjustColors(whole, steps);
  for (const size_t at : {0, 3, 600, 1536, 3000}) {
    std::vector<float> pixel(input.begin() + at % input.size(),
                             input.begin() + at % input.size() + 3);
    AdjustColors(pixel, steps);
    EXPECT_TRUE(std::equal(pixel.begin(), pixel.end(), whole.begin() + at)) << at;
  }
}

TEST(ColorTest, OnePixelIsItsOwnMean) {
  std::vector<float> pixel = {0.1f, 0.5f, 0.9f};
  const auto before = pixel;
  AdjustColor(pixel, {Kind::kContrast, 3});
  EXPECT_EQ(pixel, before);
  AdjustColors({}, std::vector<ColorStep>{{Kind::kContrast, 2}});
}

}  // namespace
}  // namespace oriel::image
