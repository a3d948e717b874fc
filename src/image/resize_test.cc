#include "image/resize.h"

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "base/digest.h"
#include "base/testing.h"
#include "image/resize_antialiased.h"
#include "image/test_pattern.h"
#include "tensor/npy.h"

namespace oriel::image {
namespace {

// Arrays [height,width,3] of testdata/preproc/resize.npy by name.
class ResizeGoldens {
 public:
  ResizeGoldens() : values_(*ReadNpy(TestData("preproc/resize.npy"))) {
    std::ifstream table(TestData("preproc/resize.tsv"));
    std::string name;
    Entry entry;
    while (table >> name >> entry.height >> entry.width >> entry.offset) {
      entries_[name] = entry;
    }
  }

  struct Entry {
    int height;
    int width;
    size_t offset;
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }
  FloatView View(const std::string& name) const {
    const Entry& entry = entries_.at(name);
    return {values_.data<float>().data() + entry.offset, entry.height, entry.width, 3,
            entry.width * 3};
  }

 private:
  Tensor values_;
  std::map<std::string, Entry> entries_;
};

// "i7x11_to_5x9_bilinear_legacy"
struct Case {
  std::string input;
  ResizeMethod method;
  PixelGrid grid;
};
Case ParseCase(const std::string& name) {
  const std::map<std::string, ResizeMethod> methods = {
      {"bilinear", ResizeMethod::kBilinear},
      {"nearest", ResizeMethod::kNearest},
      {"bicubic", ResizeMethod::kBicubic},
      {"area", ResizeMethod::kArea}};
  const std::map<std::string, PixelGrid> grids = {{"legacy", PixelGrid::kLegacy},
                                                  {"align", PixelGrid::kAlignCorners},
                                                  {"half", PixelGrid::kHalfPixelCenters}};
  std::vector<std::string> parts;
  std::istringstream fields(name);
  std::string part;
  while (std::getline(fields, part, '_')) parts.push_back(part);
  return {parts.at(0), methods.at(parts.at(3)), grids.at(parts.at(4))};
}

TEST(ResizeTest, IsTensorFlows) {
  const ResizeGoldens goldens;
  int checked = 0;
  double worst = 0;
  for (const auto& [name, entry] : goldens.entries()) {
    if (name.find("_to_") == std::string::npos) continue;
    const Case c = ParseCase(name);
    std::vector<float> got(size_t(entry.height) * entry.width * 3);
    ASSERT_OK(
        Resize(goldens.View(c.input), c.method, c.grid, entry.height, entry.width, got));
    const float* want = goldens.View(name).data;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max<double>(worst, std::abs(got[i] - want[i]));
      // Bilinear and nearest have one order of operations; the others sum.
      const bool exact =
          c.method == ResizeMethod::kBilinear || c.method == ResizeMethod::kNearest;
      ASSERT_NEAR(got[i], want[i], exact ? 0 : 5e-7) << name << " element " << i;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 266);
  RecordProperty("worst", fmt::format("{}", worst));
}

// The bytes' own path against the one that goes through floats.
TEST(ResizeTest, BytesAreAsTheirValues) {
  const Image image = TestPattern(37, 53, 3);
  ByteValues values;
  for (int b = 0; b < 256; ++b) values[b] = static_cast<float>(b * b) / 7;
  std::vector<float> floats(image.pixels.size());
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = values[image.pixels[i]];
  const FloatView view = {floats.data(), 37, 53, 3, 53 * 3};
  for (const ResizeMethod method : {ResizeMethod::kBilinear, ResizeMethod::kNearest,
                                    ResizeMethod::kBicubic, ResizeMethod::kArea}) {
    for (const PixelGrid grid :
         {PixelGrid::kLegacy, PixelGrid::kAlignCorners, PixelGrid::kHalfPixelCenters}) {
      if (method == ResizeMethod::kArea && grid == PixelGrid::kHalfPixelCenters) continue;
      for (const int height : {100, 11}) {
        std::vector<float> want(height * 20 * 3), got(want.size());
        ASSERT_OK(Resize(view.Crop(3, 5, 30, 40), method, grid, height, 20, want));
        ASSERT_OK(Resize(ImageView(image).Crop(3, 5, 30, 40), values, method, grid,
                         height, 20, got));
        EXPECT_EQ(got, want);
      }
    }
  }
}

TEST(ResizeTest, RefusesSizesThatDoNotFit) {
  const std::vector<float> pixels(12);
  const FloatView view = {pixels.data(), 2, 2, 3, 6};
  std::vector<float> dst(27);
  EXPECT_OK(Resize(view, ResizeMethod::kArea, PixelGrid::kLegacy, 3, 3, dst));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Resize(view, ResizeMethod::kArea, PixelGrid::kHalfPixelCenters, 3, 3, dst)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Resize(view, ResizeMethod::kNearest, PixelGrid::kLegacy, 3, 4, dst)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Resize(view, ResizeMethod::kBilinear, PixelGrid::kLegacy, 0, 3, {})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Resize({}, ResizeMethod::kBilinear, PixelGrid::kLegacy, 3, 3, dst)));
}

TEST(ResizeAntialiasedTest, IsPillowsToTheBit) {
  std::ifstream table(TestData("preproc/pillow_resize.tsv"));
  int height, width, channels, to_height, to_width;
  std::string hash;
  int rows = 0;
  for (; table >> height >> width >> channels >> to_height >> to_width >> hash; ++rows) {
    ASSERT_OK_AND_ASSIGN(const Image got,
                         ResizeBicubicAntialiased(TestPattern(height, width, channels),
                                                  to_height, to_width));
    EXPECT_EQ(HexDigest(DigestKind::kSha256, got.pixels), hash)
        << height << " x " << width << " x " << channels << " to " << to_height << " x "
        << to_width;
  }
  EXPECT_EQ(rows, 11);
}

// A window is cut out of the whole, whatever rows and columns it needs.
TEST(ResizeAntialiasedTest, WindowIsPartOfTheWhole) {
  const Image image = TestPattern(61, 47, 3);
  for (const auto& [height, width] : {std::pair{20, 30}, {61, 30}, {20, 47}, {61, 47}}) {
    ASSERT_OK_AND_ASSIGN(const Image whole,
                         ResizeBicubicAntialiased(image, height, width));
    for (const Window window : {Window{0, 0, height, width}, Window{3, 5, 9, 11},
                                Window{height - 1, width - 1, 1, 1}}) {
      ASSERT_OK_AND_ASSIGN(const Image part,
                           ResizeBicubicAntialiased(image, height, width, window));
      ASSERT_EQ(part.height, window.height);
      ASSERT_EQ(part.width, window.width);
      const ImageView want =
          ImageView(whole).Crop(window.top, window.left, window.height, window.width);
      for (int y = 0; y < part.height; ++y) {
        ASSERT_TRUE(
            std::equal(want.row(y), want.row(y) + part.width * 3, ImageView(part).row(y)))
            << height << " x " << width << " row " << y;
      }
    }
  }
}

TEST(ResizeAntialiasedTest, RefusesWindowsOutside) {
  const Image image = TestPattern(5, 5, 3);
  for (const Window window : {Window{0, 0, 5, 4}, Window{-1, 0, 2, 2}, Window{3, 0, 2, 2},
                              Window{0, 2, 2, 2}, Window{0, 0, 0, 1}}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(ResizeBicubicAntialiased(image, 4, 3, window).status()));
  }
  EXPECT_TRUE(
      absl::IsInvalidArgument(ResizeBicubicAntialiased(ImageView{}, 4, 3).status()));
}

}  // namespace
}  // namespace oriel::image
