// The writers: what TensorFlow and the safetensors package wrote comes out again byte
// for byte, and nothing is left of writing that failed.
#include "checkpoint/save.h"

#include <gmock/gmock.h>

#include "base/files.h"
#include "base/testing.h"
#include "checkpoint/testing/checkpoint_writer.h"
#include "checkpoint/testing/corruption.h"
#include "checkpoint/testing/golden_formula.h"

namespace oriel::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string Load(const fs::path& path) { return ReadFile(path).value(); }

std::vector<std::string> Names(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

std::shared_ptr<const VariableSource> Fixture(const std::string& name) {
  return Open(TestData("fixtures/" + name)).value();
}

TEST(Save, TensorFlowV1AsTensorFlowWritesIt) {
  const TemporaryDirectory directory;
  for (const std::string name : {"dtypes_v1.ckpt", "many_v1.ckpt"}) {
    SCOPED_TRACE(name);
    const fs::path path = directory.path() / name;
    ASSERT_OK(SaveTensorFlowV1(path, *Fixture(name)));
    EXPECT_TRUE(Load(path) == Load(TestData("fixtures/" + name)));
  }
}

TEST(Save, TensorFlowV2AsTensorFlowWritesIt) {
  const TemporaryDirectory directory;
  for (const std::string name : {"dtypes_v2.ckpt", "many_v2.ckpt"}) {
    const fs::path prefix = directory.path() / name;
    ASSERT_OK(SaveTensorFlowV2(prefix, *Fixture(name)));
    for (const char* suffix : {".index", ".data-00000-of-00001"}) {
      SCOPED_TRACE(name + suffix);
      EXPECT_TRUE(Load(prefix.string() + suffix) ==
                  Load(TestData("fixtures/" + name + suffix)));
    }
  }
}

TEST(Save, TablesAsLevelDbWritesThem) {
  // Blocks of many kinds: long shared prefixes, high bytes, records that fill a
  // block and such that are larger than two.
  std::vector<VariableInfo> list;
  for (int i = 0; i < 3000; ++i) {
    const int64_t rows = i % 500 == 0 ? 150'000 : i % 90 == 0 ? 60'000 : i % 7;
    list.push_back({fmt::format("\U0010FFFF/scope_{:05}/layer/beta", i * i),
                    DType::kFloat32,
                    {rows}});
  }
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto source = GoldenVariables(std::move(list));
  const TemporaryDirectory directory;
  const auto path = [&](const char* name) { return directory.path() / name; };
  ASSERT_OK(SaveTensorFlowV1(path("a1"), *source));
  ASSERT_OK(WriteTensorFlowV1(path("b1"), *source));
  EXPECT_TRUE(Load(path("a1")) == Load(path("b1")));
  ASSERT_OK(SaveTensorFlowV2(path("a2"), *source));
  ASSERT_OK(WriteTensorFlowV2(path("b2"), *source));
  EXPECT_TRUE(Load(path("a2.index")) == Load(path("b2.index")));
  EXPECT_TRUE(Load(path("a2.data-00000-of-00001")) ==
              Load(path("b2.data-00000-of-00001")));
}

TEST(Save, SafetensorsAsThePackageWritesThem) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "all.safetensors";
  const auto source = Fixture("all.safetensors");
  ASSERT_OK(SaveSafetensors(path, *source, {.metadata = {{"format", "np"}}}));
  EXPECT_TRUE(Load(path) == Load(TestData("fixtures/all.safetensors")));
}

TEST(Save, SafetensorsMetadata) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "m.safetensors";
  const auto source = GoldenVariables({{"a\"b/weights", DType::kFloat32, {2}}});
  ASSERT_OK(SaveSafetensors(path, *source, {.metadata = {{"format", "pt"}}}));
  EXPECT_THAT(Load(path),
              HasSubstr(R"({"__metadata__":{"format":"pt"},"a\"b/weights":)"
                        R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"));
  ASSERT_OK_AND_ASSIGN(const auto again, Open(path));
  EXPECT_EQ(ReadAll(*again).value(), ReadAll(*source).value());
}

// Variables of a list, one of which cannot be read.
class Broken final : public VariableSource {
 public:
  explicit Broken(std::vector<VariableInfo> infos) : infos_(std::move(infos)) {}
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    if (name == "broken") return DataLoss("'broken' is broken");
    return Tensor(Find(name)->dtype, Find(name)->shape);
  }
  std::string_view format() const override { return "test"; }

 private:
  std::vector<VariableInfo> infos_;
};

TEST(Save, FailuresLeaveWhatWasThere) {
  const TemporaryDirectory directory;
  const fs::path path = directory.path() / "x";
  const Broken broken(
      {{"a", DType::kFloat32, {1 << 20}}, {"broken", DType::kFloat32, {1}}});
  for (const Format format :
       {Format::kTensorFlowV1, Format::kTensorFlowV2, Format::kSafetensors}) {
    EXPECT_EQ(Save(format, path, broken).code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(Names(directory.path()), IsEmpty());
    const Broken good({{"a", DType::kFloat32, {3}}});
    ASSERT_OK(Save(format, path, good));
    const auto before = Names(directory.path());
    EXPECT_FALSE(Save(format, path, broken).ok());
    EXPECT_EQ(Names(directory.path()), before);
    ASSERT_OK_AND_ASSIGN(const auto source, Open(path));
    EXPECT_EQ(ReadAll(*source).value(), ReadAll(good).value());
    for (const std::string& name : before) fs::remove(directory.path() / name);
  }
  EXPECT_EQ(Save(Format::kPyTorchZip, path, broken).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Save, WhatAFormatCannotHold) {
  const TemporaryDirectory directory;
  const auto saved = [&](Format format, VariableInfo info) {
    const absl::Status status =
        Save(format, directory.path() / "x", Broken({std::move(info)}));
    EXPECT_THAT(Names(directory.path()), IsEmpty());
    return std::string(Message(status));
  };
  EXPECT_THAT(saved(Format::kTensorFlowV1, {"v", DType::kBFloat16, {2}}),
              HasSubstr("'v': V1 checkpoints hold no bfloat16"));
  EXPECT_THAT(saved(Format::kSafetensors, {"v", DType::kString, {2}}),
              HasSubstr("'v': safetensors files hold no string"));
  EXPECT_THAT(saved(Format::kSafetensors, {"__metadata__", DType::kFloat32, {2}}),
              HasSubstr("'__metadata__'"));
  EXPECT_THAT(saved(Format::kSafetensors, {"\xff", DType::kFloat32, {2}}),
              HasSubstr("of that name"));
  EXPECT_THAT(saved(Format::kTensorFlowV1, {"", DType::kFloat32, {2}}),
              HasSubstr("is called ''"));
  EXPECT_THAT(saved(Format::kTensorFlowV2, {"", DType::kFloat32, {2}}),
              HasSubstr("is called ''"));
}

TEST(Save, NoVariables) {
  const TemporaryDirectory directory;
  for (const Format format :
       {Format::kTensorFlowV1, Format::kTensorFlowV2, Format::kSafetensors}) {
    const fs::path path = directory.path() / fmt::format("{}", static_cast<int>(format));
    ASSERT_OK(Save(format, path, Broken({})));
    if (format == Format::kTensorFlowV1) continue;
    ASSERT_OK_AND_ASSIGN(const auto source, Open(path));
    EXPECT_THAT(source->variables(), IsEmpty());
  }
}

}  // namespace
}  // namespace oriel::checkpoint
