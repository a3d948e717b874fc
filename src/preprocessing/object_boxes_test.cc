#include "preprocessing/object_boxes.h"

#include "base/testing.h"

namespace oriel::preprocessing {
namespace {

TEST(ObjectBoxesTest, LinesAreAsSlimWritesThem) {
  ASSERT_OK_AND_ASSIGN(
      const ObjectBoxes boxes,
      ParseObjectBoxes("n01_1.JPEG,0.1,0.2,0.3,0.4\r\n\na,b.jpg,0,0,1,1.0\n"
                       "n01_1.JPEG,5e-1,0.5,0.75,1",
                       "file"));
  EXPECT_EQ(boxes.size(), 2);
  const auto& first = boxes.at("n01_1.JPEG");
  ASSERT_EQ(first.size(), 2);
  EXPECT_EQ(first[0].xmin, 0.1f);
  EXPECT_EQ(first[0].ymin, 0.2f);
  EXPECT_EQ(first[0].xmax, 0.3f);
  EXPECT_EQ(first[0].ymax, 0.4f);
  EXPECT_EQ(first[1].xmin, 0.5f);
  EXPECT_EQ(boxes.at("a,b.jpg").at(0).xmax, 1);
}

TEST(ObjectBoxesTest, WrongLinesAreNamed) {
  const auto error = [](std::string_view text) {
    return std::string(Message(ParseObjectBoxes(text, "file").status()));
  };
  EXPECT_EQ(error("a,0,0,1,1\nb,0,0,1\n"), "file: line 2: want NAME,xmin,ymin,xmax,ymax");
  EXPECT_EQ(error("a,0,0,1,1.5\n"), "file: line 1: '1.5' is no number in [0, 1]");
  for (const char* field : {"nan", "-0.1", "", "0.5x", " 0.5", "inf"}) {
    EXPECT_EQ(error(fmt::format("a,0,{},1,1", field)),
              fmt::format("file: line 1: '{}' is no number in [0, 1]", field));
  }
  EXPECT_EQ(error(",0,0,1,1"), "file: line 1: there is no file name");
}

}  // namespace
}  // namespace oriel::preprocessing
