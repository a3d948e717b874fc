#include "model/model_directory.h"

#include <gmock/gmock.h>

#include "base/digest.h"
#include "base/testing.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kGraph[] = "not looked into here";

class ModelDirectoryTest : public ::testing::Test {
 protected:
  const fs::path& root() const { return root_.path(); }

  fs::path Make(const std::string& name, const std::string& version) {
    const fs::path path = root() / name / version;
    fs::create_directories(path);
    ModelConfig config;
    config.title = name;
    config.input = "input";
    config.logits = "logits";
    config.predictions = "predictions";
    config.height = config.width = 8;
    config.num_classes = 3;
    config.class_offset = 1;
    config.preprocessing.preset = "inception";
    config.provenance.checkpoint_sha256 = std::string(64, 'a');
    config.model_sha256 = HexDigest(DigestKind::kSha256, AsBytes(kGraph));
    Write(path / "oriel.json", FormatModelConfig(config));
    Write(path / "descriptions.txt", "background\na\nb\n");
    Write(path / "wnids.txt", "\nn1\nn2\n");
    Write(path / "model.pb", kGraph);
    return path;
  }

  static void Write(const fs::path& path, std::string_view text) {
    ASSERT_OK(WriteFileAtomically(path, text));
  }

 private:
  TemporaryDirectory root_;
};

TEST(ParseVersion, TakesPlainNumbersOnly) {
  EXPECT_EQ(ParseVersion("1"), 1);
  EXPECT_EQ(ParseVersion("0"), 0);
  EXPECT_EQ(ParseVersion("20240131"), 20240131);
  for (const char* text : {"", "01", "-1", "+1", "1a", "1.0", "v1", " 1", ".1.tmp-3",
                           "9999999999999999999"}) {
    EXPECT_EQ(ParseVersion(text), std::nullopt) << text;
  }
}

TEST(CheckModelName, RefusesWhatIsNoName) {
  EXPECT_OK(CheckModelName("efficientnet_lite2"));
  EXPECT_OK(CheckModelName("My-Net.2"));
  for (const char* name : {"", ".", "..", ".hidden", "-x", "a/b", "a b", "a\n", "ä"}) {
    EXPECT_FALSE(CheckModelName(name).ok()) << name;
  }
}

TEST_F(ModelDirectoryTest, TakesTheHighestVersionAsANumber) {
  Make("net", "2");
  Make("net", "10");
  fs::create_directories(root() / "net" / ".11.tmp-1-0");
  fs::create_directories(root() / "net" / "backup");
  Write(root() / "net" / "12", "a file, no version");
  ASSERT_OK_AND_ASSIGN(const ModelDirectory found, FindModel("net", root()));
  EXPECT_EQ(found.name, "net");
  EXPECT_EQ(found.version, "10");
  EXPECT_EQ(found.path, root() / "net" / "10");
}

TEST_F(ModelDirectoryTest, TakesPathsOfModelsAndOfVersions) {
  const fs::path path = Make("net", "2");
  Make("net", "3");
  ASSERT_OK_AND_ASSIGN(const auto version, FindModel(path.string(), "/elsewhere"));
  EXPECT_EQ(version.name, "net");
  EXPECT_EQ(version.version, "2");
  ASSERT_OK_AND_ASSIGN(const auto slash, FindModel(path.string() + "/", "/elsewhere"));
  EXPECT_EQ(slash.version, "2");
  ASSERT_OK_AND_ASSIGN(const auto model,
                       FindModel(path.parent_path().string(), "/elsewhere"));
  EXPECT_EQ(model.version, "3");
  fs::rename(path, root() / "plain");
  ASSERT_OK_AND_ASSIGN(const auto plain, FindModel((root() / "plain").string(), "/"));
  EXPECT_EQ(plain.name, "plain");
  EXPECT_EQ(plain.version, "1");
}

TEST_F(ModelDirectoryTest, SaysHowToGetAMissingModel) {
  auto error = FindModel("net", root()).status();
  EXPECT_EQ(error.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(error)), HasSubstr("oriel export net"));
  Make("other", "1");
  error = FindModel("net", root()).status();
  EXPECT_THAT(std::string(Message(error)), HasSubstr("other"));
  EXPECT_EQ(FindModel("../x/y", root()).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(FindModel("graph.pb", root()).status()),
            "graph.pb: No such file or directory");
}

TEST_F(ModelDirectoryTest, PrefersTheFullModel) {
  EXPECT_THAT(std::string(Message(FindDefaultModel(root()).status())),
              HasSubstr("oriel export inception_resnet_v2"));
  Make("something", "1");
  EXPECT_EQ(FindDefaultModel(root())->name, "something");
  Make("something_else", "1");
  EXPECT_THAT(std::string(Message(FindDefaultModel(root()).status())),
              HasSubstr("--model"));
  Make("efficientnet_lite2", "1");
  EXPECT_EQ(FindDefaultModel(root())->name, "efficientnet_lite2");
  Make("inception_resnet_v2", "1");
  EXPECT_EQ(FindDefaultModel(root())->name, "inception_resnet_v2");
  const auto all = ListModels(root());
  ASSERT_EQ(all.size(), 4);
  EXPECT_EQ(all[0].name, "efficientnet_lite2");
}

TEST_F(ModelDirectoryTest, ReadsWhatIsWhole) {
  const fs::path path = Make("net", "1");
  ASSERT_OK_AND_ASSIGN(const ModelFiles files, ReadModelFiles(path));
  EXPECT_EQ(files.config.title, "net");
  EXPECT_EQ(files.descriptions[2], "b");
  EXPECT_EQ(files.wnids[0], "");
  EXPECT_EQ(AsStringView(files.graph->bytes()), kGraph);
  fs::remove(path / "wnids.txt");
  ASSERT_OK_AND_ASSIGN(const ModelFiles without, ReadModelFiles(path));
  EXPECT_TRUE(without.wnids.empty());
}

TEST_F(ModelDirectoryTest, NamesTheFileThatIsWrong) {
  const auto error = [&](const char* file, const char* contents) {
    const fs::path path = Make("net", "1");
    if (contents == nullptr) {
      fs::remove(path / file);
    } else {
      Write(path / file, contents);
    }
    return std::string(Message(ReadModelFiles(path).status()));
  };
  EXPECT_THAT(error("oriel.json", nullptr), HasSubstr("oriel.json: No such file"));
  EXPECT_THAT(error("descriptions.txt", nullptr), HasSubstr("descriptions.txt: No such"));
  EXPECT_THAT(error("descriptions.txt", "background\na\n"),
              HasSubstr("descriptions.txt: has 2 lines, the model has 3 classes"));
  EXPECT_THAT(error("wnids.txt", "n1\n"), HasSubstr("wnids.txt: has 1 lines"));
  EXPECT_THAT(error("model.pb", "other bytes"), HasSubstr("model.pb: SHA-256 is"));
}

}  // namespace
}  // namespace oriel::model
