#include "model/calibration_file.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/testing.h"

namespace oriel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The example of the format's document is the file that the tests read.
std::string DocumentedExample() {
  const auto path =
      std::filesystem::path(ORIEL_SOURCE_DIR) / "docs/formats/calibration_json.md";
  const std::string text = ReadFile(path).value();
  const std::string begin = "```json\n";
  const size_t at = text.find(begin) + begin.size();
  return text.substr(at, text.find("```", at) - at);
}

std::string Error(const std::string& json) {
  const auto file = ParseCalibration(json, "calibration.json");
  return file.ok() ? "" : std::string(Message(file.status()));
}

std::string Replaced(const std::string& from, const std::string& to) {
  std::string text = DocumentedExample();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(CalibrationFile, ReadsTheDocumentedExample) {
  ASSERT_OK_AND_ASSIGN(const CalibrationFile file,
                       ParseCalibration(DocumentedExample(), "calibration.json"));
  EXPECT_EQ(file.model_sha256, std::string(64, '0'));
  EXPECT_EQ(file.method, "percentile 99.99");
  EXPECT_EQ(file.images, 200);
  const engine::Calibration& calibration = file.calibration;
  EXPECT_THAT(calibration.wider, ElementsAre("head/dense/BiasAdd", "stem/Relu6"));
  EXPECT_EQ(calibration.ranges.at("images"), (engine::ValueRange{-1, 1.1f}));
  EXPECT_THAT(calibration.bias_corrections.at("blocks_0/Relu6"),
              ElementsAre(500, 0, -1.5f));
  ASSERT_NE(calibration.FindAgreement(7), nullptr);
  EXPECT_EQ(calibration.FindAgreement(7)->top1, 0.99);
  EXPECT_EQ(calibration.FindAgreement(8)->logits_rms, 0.0625);
  ASSERT_TRUE(calibration.bf16);
  EXPECT_EQ(calibration.bf16->images, 200);
  EXPECT_EQ(calibration.bf16->logits_rms, 0.015625);
  ASSERT_EQ(calibration.sensitivities.size(), 2);
  EXPECT_EQ(calibration.sensitivities[0].op, "head/dense/BiasAdd");
}

TEST(CalibrationFile, WritesTheDocumentedExample) {
  ASSERT_OK_AND_ASSIGN(const CalibrationFile file,
                       ParseCalibration(DocumentedExample(), "calibration.json"));
  EXPECT_EQ(FormatCalibration(file), DocumentedExample());
}

// Files from before bf16 was measured.
TEST(CalibrationFile, Bf16MayBeMissing) {
  std::string text = DocumentedExample();
  const size_t begin = text.find("  \"bf16\""), end = text.find("  \"wider\"");
  text.erase(begin, end - begin);
  ASSERT_OK_AND_ASSIGN(const CalibrationFile file,
                       ParseCalibration(text, "calibration.json"));
  EXPECT_FALSE(file.calibration.bf16);
  EXPECT_EQ(FormatCalibration(file), text);
}

TEST(CalibrationFile, KeepsCorrectionsToAThousandth) {
  CalibrationFile file;
  file.model_sha256 = std::string(64, 'a');
  file.method = "mse";
  file.images = 1;
  const std::vector<float> values = {0.1234567f, -3.21f, 1e-9f, 0};
  file.calibration.bias_corrections["a \"name\""] = values;
  file.calibration.bias_corrections["none"] = {0, 0};
  file.calibration.ranges["x"] = {-1.17549435e-38f, 3.40282347e38f};
  ASSERT_OK_AND_ASSIGN(const CalibrationFile again,
                       ParseCalibration(FormatCalibration(file), "again"));
  EXPECT_EQ(again.calibration.ranges, file.calibration.ranges);
  const auto& read = again.calibration.bias_corrections.at("a \"name\"");
  ASSERT_EQ(read.size(), values.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_NEAR(read[i], values[i], 3.21f / 2000 * 1.001f) << i;
  }
  EXPECT_THAT(again.calibration.bias_corrections.at("none"), ElementsAre(0, 0));
}

TEST(CalibrationFile, NamesWhatIsWrong) {
  EXPECT_EQ(Error(Replaced("\"images\": 200", "\"imges\": 200")),
            "calibration.json: 'images' is missing");
  EXPECT_EQ(Error(Replaced("\"method\"", "\"extra\": 1, \"method\"")),
            "calibration.json: unknown key 'extra'");
  EXPECT_EQ(Error(Replaced("\"top1\": 0.995", "\"top1\": 1.5")),
            "calibration.json: 'agreements[0].top1' is 1.5E0, want a number from 0 to 1");
  EXPECT_EQ(Error(Replaced("\"top1\": 1,", "\"top1\": -1,")),
            "calibration.json: 'bf16.top1' is -1, want a number from 0 to 1");
  EXPECT_EQ(Error(Replaced("\"top1\": 1,", "")),
            "calibration.json: 'bf16.top1' is missing");
  EXPECT_EQ(Error(Replaced("\"step\": 0.5,", "\"step\": 0.5, \"more\": 1,")),
            "calibration.json: unknown key 'bias_corrections.blocks_0/Relu6.more'");
  EXPECT_EQ(Error(Replaced("[0, 6]", "[7, 6]")),
            "calibration.json: 'ranges.blocks_0/Relu6' is 7 to 6, want a range of "
            "float32");
  EXPECT_THAT(Error(Replaced("[0, 6]", "[0, 1e39]")), HasSubstr("want a range"));
  EXPECT_THAT(Error(Replaced("[0, 6]", "[0, 1e999]")), HasSubstr("finite numbers"));
  EXPECT_THAT(Error(Replaced("[0, 6]", "[0]")), HasSubstr("an array of 2 to 2"));
  EXPECT_THAT(Error(Replaced("[0, 6]", "[0, \"6\"]")), HasSubstr("finite numbers"));
  EXPECT_THAT(Error(Replaced("\"activation_bits\": 8", "\"activation_bits\": 9")),
              HasSubstr("'agreements[0].activation_bits' is 9"));
  EXPECT_THAT(Error(Replaced("\"schema_version\": 1", "\"schema_version\": 2")),
              HasSubstr("this program reads 1"));
  EXPECT_THAT(Error(Replaced("[1000, 0, -3]", "[]")), HasSubstr("steps"));
}

TEST(CalibrationFile, EveryTruncationIsAnError) {
  const std::string text = DocumentedExample();
  for (size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_NE(Error(text.substr(0, size)), "") << size;
  }
}

}  // namespace
}  // namespace oriel::model
