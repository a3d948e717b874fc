#include "image/encode_png.h"

#include "base/testing.h"
#include "image/decode.h"
#include "image/test_pattern.h"

namespace oriel::image {
namespace {

// The decoder's pixels are TensorFlow's; tests/tensorflow reads what is written here,
// too.
TEST(EncodePngTest, PixelsComeBack) {
  for (const int channels : {1, 3, 4}) {
    for (const auto& [height, width] :
         {std::pair(1, 1), std::pair(37, 53), std::pair(200, 3)}) {
      const Image image = TestPattern(height, width, channels);
      ASSERT_OK_AND_ASSIGN(const std::string png, EncodePng(image));
      ASSERT_OK_AND_ASSIGN(const Image back,
                           Decode(AsBytes(png), {.channels = channels}));
      EXPECT_EQ(back.height, height);
      EXPECT_EQ(back.width, width);
      EXPECT_EQ(back.pixels, image.pixels);
    }
  }
}

TEST(EncodePngTest, PartsOfImages) {
  const Image image = TestPattern(40, 30, 3);
  const ImageView part = ImageView(image).Crop(5, 7, 20, 11);
  ASSERT_OK_AND_ASSIGN(const std::string png, EncodePng(part));
  ASSERT_OK_AND_ASSIGN(const Image back, Decode(AsBytes(png), {}));
  EXPECT_EQ(back.pixels, Copied(part).pixels);
}

TEST(EncodePngTest, RefusesWhatPngHasNot) {
  EXPECT_TRUE(absl::IsInvalidArgument(EncodePng(TestPattern(2, 2, 2)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(EncodePng(Image{0, 5, 3, {}}).status()));
}

}  // namespace
}  // namespace oriel::image
