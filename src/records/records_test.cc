#include <vector>

#include "base/files.h"
#include "base/testing.h"
#include "records/example.h"
#include "records/tfrecord.h"

namespace oriel::records {
namespace {

std::string ReadThree() { return *ReadFile(TestData("records/three.tfrecord")); }

absl::StatusOr<std::vector<std::string>> ReadAll(std::string_view file) {
  TfRecordReader reader(AsBytes(file), "file");
  std::vector<std::string> records;
  while (true) {
    ASSIGN_OR_RETURN(const auto record, reader.Next());
    if (!record) return records;
    records.emplace_back(AsStringView(*record));
    EXPECT_EQ(reader.count(), records.size());
  }
}

ExampleBuilder SampleExample() {
  ExampleBuilder builder;
  builder.SetInt64("image/height", 299);
  builder.SetBytes("image/filename", "cat.jpg");
  builder.SetFloats("image/data", std::vector<float>{-1, 0.25f, 1});
  return builder;
}

TEST(TfRecordTest, ReadsWhatTensorFlowWrote) {
  ASSERT_OK_AND_ASSIGN(const auto records, ReadAll(ReadThree()));
  ASSERT_EQ(records.size(), 3);
  EXPECT_EQ(records[0], "");
  EXPECT_EQ(records[1], "TensorFlow");
  ASSERT_OK_AND_ASSIGN(const auto example, ParseExample(AsBytes(records[2]), "record"));
  const auto& features = example.features().feature();
  EXPECT_EQ(features.at("image/height").int64_list().value(0), 299);
  EXPECT_EQ(features.at("image/filename").bytes_list().value(0), "cat.jpg");
  EXPECT_EQ(features.at("image/data").float_list().value(1), 0.25f);
}

TEST(TfRecordTest, WritesTheBytesThatTensorFlowWrites) {
  EXPECT_EQ(FrameTfRecord("") + FrameTfRecord("TensorFlow") +
                FrameTfRecord(SampleExample().Serialize()),
            ReadThree());
}

TEST(TfRecordTest, CutAtEachByte) {
  const std::string file = ReadThree();
  for (size_t size = 0; size < file.size(); ++size) {
    const auto records = ReadAll(std::string_view(file).substr(0, size));
    const bool between = size == 0 || size == 16 || size == 42;
    EXPECT_EQ(records.ok(), between) << size;
    if (!between) {
      EXPECT_TRUE(absl::IsDataLoss(records.status())) << size;
    }
  }
}

TEST(TfRecordTest, EachBitFlipped) {
  const std::string file = ReadThree();
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto records = ReadAll(damaged);
    ASSERT_TRUE(absl::IsDataLoss(records.status())) << bit;
    EXPECT_NE(Message(records.status()).find("file: record "), std::string_view::npos);
  }
}

// A length whose checksum is right and which no file has.
TEST(TfRecordTest, HugeRecordsAreNotAllocated) {
  std::string file = FrameTfRecord("x");
  const uint64_t huge = ~uint64_t{0};
  const std::string length(reinterpret_cast<const char*>(&huge), 8);
  file.replace(0, 12,
               FrameTfRecord(length).substr(12, 8) + FrameTfRecord(length).substr(20, 4));
  const auto records = ReadAll(file);
  EXPECT_TRUE(absl::IsDataLoss(records.status()));
  EXPECT_NE(Message(records.status()).find("want 18446744073709551615 bytes"),
            std::string_view::npos)
      << Message(records.status());
}

TEST(TfRecordTest, ShardNamesAreTensorFlows) {
  EXPECT_EQ(ShardName("train", 3, 128), "train-00003-of-00128");
}

TEST(ExampleTest, BytesDoNotDependOnTheOrderOfCalls) {
  ExampleBuilder other;
  other.SetFloats("image/data", std::vector<float>{-1, 0.25f, 1});
  other.SetBytes("image/filename", "cat.jpg");
  other.SetInt64("image/height", 299);
  EXPECT_EQ(other.Serialize(), SampleExample().Serialize());
}

TEST(ExampleTest, RefusesWhatIsNone) {
  const auto example = ParseExample(AsBytes("\x0a\xff\xff"), "that");
  EXPECT_TRUE(absl::IsDataLoss(example.status()));
  EXPECT_EQ(Message(example.status()), "that: 3 bytes are no tf.Example");
}

}  // namespace
}  // namespace oriel::records
