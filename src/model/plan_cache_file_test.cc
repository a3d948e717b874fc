#include "model/plan_cache_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <array>

#include "base/files.h"
#include "base/testing.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PlanCacheFile : public ::testing::Test {
 protected:
  PlanCacheFile() {
    for (size_t i = 0; i < first_.size(); ++i) first_[i] = static_cast<uint8_t>(i);
    contents_ = {.fingerprint = "oriel 1\ncpu x\n",
                 .model = {.size = 5000, .modified_ns = -7},
                 .graph = "a graph",
                 .contents = {{"weights", 16, 4000}, {"more", 4100, 900}},
                 .choices = {{"conv", "direct"}, {"", "empty"}},
                 .weights = {{.key = "weights packed", .bytes = first_},
                             {.key = "none", .bytes = {}},
                             {.key = "more packed", .bytes = second_}}};
  }

  fs::path path() const { return directory_.path() / "cache.plans"; }

  // As it lies in memory when it is mapped: aligned.
  std::string Write() {
    EXPECT_OK(WritePlanCache(contents_, path()));
    return *ReadFile(path());
  }

  static absl::StatusOr<PlanCacheContents> Parse(const std::string& bytes) {
    return ParsePlanCache(AsBytes(bytes), "cache");
  }

  TemporaryDirectory directory_;
  std::array<uint8_t, 100> first_;
  std::array<uint8_t, 3> second_ = {1, 2, 3};
  PlanCacheContents contents_;
};

TEST_F(PlanCacheFile, ReadsWhatWasWritten) {
  EXPECT_OK(WritePlanCache(contents_, path()));
  ASSERT_OK_AND_ASSIGN(const auto file, MappedFile::Open(path()));
  ASSERT_OK_AND_ASSIGN(const PlanCacheContents read,
                       ParsePlanCache(file->bytes(), "cache"));
  EXPECT_EQ(read.fingerprint, contents_.fingerprint);
  EXPECT_EQ(read.model, contents_.model);
  EXPECT_EQ(read.graph, contents_.graph);
  EXPECT_EQ(read.contents, contents_.contents);
  EXPECT_EQ(read.choices, contents_.choices);
  ASSERT_EQ(read.weights.size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.weights[i].key, contents_.weights[i].key);
    EXPECT_EQ(AsStringView(read.weights[i].bytes),
              AsStringView(contents_.weights[i].bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read.weights[i].bytes.data()) % 64, 0);
  }
  EXPECT_OK(CheckWeights(read, "cache"));
  struct stat info;
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644);
}

TEST_F(PlanCacheFile, WritesMoreThanAPiece) {
  std::vector<uint8_t> large((5 << 20) + 7);
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<uint8_t>(i * 31 >> 7);
  contents_.weights[1].bytes = large;
  const std::string bytes = Write();
  ASSERT_OK_AND_ASSIGN(const PlanCacheContents read, Parse(bytes));
  EXPECT_TRUE(AsStringView(read.weights[1].bytes) == AsStringView(large));
  EXPECT_OK(CheckWeights(read, "cache"));
}

TEST_F(PlanCacheFile, RefusesEachTruncation) {
  const std::string bytes = Write();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto read = Parse(bytes.substr(0, size));
    ASSERT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(std::string(Message(read.status())), StartsWith("cache: "));
  }
  EXPECT_EQ(Parse(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(PlanCacheFile, NoticesEachFlippedBit) {
  const std::string bytes = Write();
  ASSERT_OK_AND_ASSIGN(const PlanCacheContents read, Parse(bytes));
  const auto inside = [&](size_t i, Bytes part) {
    const auto* const at = reinterpret_cast<const uint8_t*>(bytes.data()) + i;
    return at >= part.data() && at < part.data() + part.size();
  };
  const size_t weights = read.weights[0].bytes.data() - AsBytes(bytes).data();
  const size_t head = 24 + LoadLittleEndian<uint64_t>(AsBytes(bytes).data() + 16);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i >= head && i < weights) continue;  // padding
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ 1 << bit);
      const auto again = Parse(flipped);
      if (i < weights) {
        ASSERT_FALSE(again.ok()) << i << " bit " << bit;
        continue;
      }
      ASSERT_OK(again.status());
      const bool meant =
          inside(i, read.weights[0].bytes) || inside(i, read.weights[2].bytes);
      EXPECT_EQ(CheckWeights(*again, "cache").ok(), !meant) << i << " bit " << bit;
    }
  }
}

TEST_F(PlanCacheFile, SaysWhatIsWrong) {
  EXPECT_THAT(std::string(Message(Parse(std::string(100, 'x')).status())),
              HasSubstr("is no plan cache"));
  std::string bytes = Write();
  bytes[8] = 2;
  EXPECT_THAT(std::string(Message(Parse(bytes).status())),
              HasSubstr("has format version 2, this program reads 1"));
  contents_.contents.push_back({"beyond", 4999, 2});
  EXPECT_THAT(std::string(Message(Parse(Write()).status())),
              HasSubstr("constant 'beyond' lies at byte 4999 of a model of 5000"));
}

}  // namespace
}  // namespace oriel::model
