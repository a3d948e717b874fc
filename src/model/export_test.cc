#include "model/export.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <random>
#include <thread>

#include "base/testing.h"
#include "checkpoint/testing/checkpoint_writer.h"
#include "graph/graph_util.h"
#include "model/model_directory.h"
#include "model/session.h"
#include "model/verify.h"
#include "nets/nets.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr char kNetwork[] = "efficientnet_lite0";
constexpr int kImageSize = 32;

// The network's variables as one may initialize them: He-normal kernels, neutral
// batch norms. `broken`: the last layer is not a number.
class InitialVariables : public VariableSource {
 public:
  InitialVariables(int num_classes, bool broken) : broken_(broken) {
    nets::NetworkOptions options;
    options.num_classes = num_classes;
    options.saver = false;
    const auto network = nets::BuildNetwork(kNetwork, options);
    for (const auto& node : network->graph.node()) {
      if (node.op() != "VariableV2") continue;
      variables_.push_back({node.name(), DType::kFloat32, ShapeOf(node)});
    }
    std::sort(variables_.begin(), variables_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
  }
  const std::vector<VariableInfo>& variables() const override { return variables_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const VariableInfo* info = Find(name);
    if (info == nullptr) return NotFound("{}", name);
    Tensor tensor(DType::kFloat32, info->shape);
    const auto data = tensor.mutable_data<float>();
    if (info->shape.rank() == 1) {
      const bool one = name.ends_with("gamma") || name.ends_with("variance");
      std::fill(data.begin(), data.end(), one ? 1.0f : 0.0f);
    } else {
      const double fan_in = static_cast<double>(tensor.elements()) / info->shape.dim(-1);
      std::minstd_rand random(7);
      std::normal_distribution<float> normal(
          0, static_cast<float>(std::sqrt(2 / std::max(fan_in, 9.0))));
      for (float& x : data) x = normal(random);
      if (broken_ && info->shape.rank() == 2) data[5] = std::nanf("");
    }
    return tensor;
  }
  std::string_view format() const override { return "test"; }

 private:
  static Shape ShapeOf(const tensorflow::NodeDef& node) {
    std::vector<int64_t> dims;
    for (const auto& dim : node.attr().at("shape").shape().dim()) {
      dims.push_back(dim.size());
    }
    return Shape(std::move(dims));
  }
  std::vector<VariableInfo> variables_;
  bool broken_;
};

class ExportTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory();
    WriteCheckpoint("good", 1000, false);
    WriteCheckpoint("broken", 1000, true);
    WriteCheckpoint("eleven", 11, false);
  }
  static void TearDownTestSuite() { delete directory_; }

  ExportTest() {
    options_.name = kNetwork;
    options_.output_dir = output_.path() / "models";
    options_.cache_dir = output_.path() / "cache";
    options_.checkpoint = Checkpoint("good");
    options_.image_size = kImageSize;
    options_.quiet = true;
  }

  static fs::path Checkpoint(const std::string& name) {
    return directory_->path() / (name + ".ckpt");
  }
  static void WriteCheckpoint(const std::string& name, int classes, bool broken) {
    ASSERT_OK(checkpoint::WriteTensorFlowV1(Checkpoint(name),
                                            InitialVariables(classes, broken)));
  }
  absl::StatusOr<Exported> Export() {
    return ExportModel(options_,
                       [this](std::string_view line) { log_.emplace_back(line); });
  }
  std::string Error() {
    const auto exported = Export();
    EXPECT_FALSE(exported.ok());
    return std::string(Message(exported.status()));
  }
  fs::path model() const { return options_.output_dir / kNetwork; }

  static TemporaryDirectory* directory_;
  TemporaryDirectory output_;
  ExportOptions options_;
  std::vector<std::string> log_;
};

TemporaryDirectory* ExportTest::directory_ = nullptr;

TEST_F(ExportTest, WritesAModelThatAnswers) {
  ASSERT_OK_AND_ASSIGN(const Exported exported, Export());
  EXPECT_EQ(exported.directory, model() / "1");
  EXPECT_THAT(log_, Contains(HasSubstr("model runs")));

  ASSERT_OK_AND_ASSIGN(const ModelFiles files, ReadModelFiles(model() / "1"));
  EXPECT_EQ(files.config.title, "EfficientNet-Lite0");
  EXPECT_EQ(files.config.height, kImageSize);
  EXPECT_EQ(files.config.preprocessing.preset, "efficientnet_lite");
  EXPECT_EQ(files.config.provenance.source, "good.ckpt");
  EXPECT_EQ(files.config.provenance.license, "");  // not the catalogue's weights
  EXPECT_EQ(files.config.provenance.checkpoint_sha256,
            FileHexDigest(DigestKind::kSha256, Checkpoint("good")).value());
  EXPECT_EQ(files.descriptions[0], "tench, Tinca tinca");
  EXPECT_EQ(files.wnids[0], "n01440764");
  ASSERT_TRUE(files.config.features.has_value());

  ASSERT_OK_AND_ASSIGN(const auto graph,
                       graph::ReadGraphDef((model() / "1" / "model.pb").string()));
  bool has_features = false;
  for (const auto& node : graph.node()) {
    has_features = has_features || node.name() == *files.config.features;
    EXPECT_THAT(node.op(), ::testing::Not(HasSubstr("Variable")));
    EXPECT_THAT(node.op(), ::testing::Not(HasSubstr("BatchNorm")));
  }
  EXPECT_TRUE(has_features);

  ASSERT_OK_AND_ASSIGN(const auto session, Session::Open(model() / "1", {}));
  EXPECT_EQ(session->name(), kNetwork);
}

TEST_F(ExportTest, WritesTheSameBytesTwice) {
  ASSERT_OK_AND_ASSIGN(const Exported first, Export());
  options_.version = 2;
  ASSERT_OK_AND_ASSIGN(const Exported second, Export());
  EXPECT_EQ(first.config.model_sha256, second.config.model_sha256);
  EXPECT_EQ(FindModel(kNetwork, options_.output_dir)->version, "2");
}

TEST_F(ExportTest, TakesOtherClassesWithLabels) {
  options_.checkpoint = Checkpoint("eleven");
  EXPECT_THAT(Error(), HasSubstr("the model has 11 classes, which are not ImageNet's"));
  std::string lines;
  for (int i = 0; i < 11; ++i) lines += fmt::format("class {}\n", i);
  options_.labels = output_.path() / "labels.txt";
  ASSERT_OK(WriteFileAtomically(*options_.labels, lines));
  ASSERT_OK_AND_ASSIGN(const Exported exported, Export());
  EXPECT_EQ(exported.config.num_classes, 11);
  EXPECT_FALSE(fs::exists(exported.directory / "wnids.txt"));
  options_.num_classes = 11;
  ASSERT_OK(Export().status());
  ASSERT_OK(WriteFileAtomically(*options_.labels, lines + "one more\n"));
  EXPECT_THAT(Error(), HasSubstr("has 12 lines, the model has 11 classes"));
}

TEST_F(ExportTest, SaysWhatDoesNotFit) {
  options_.num_classes = 11;
  EXPECT_EQ(Error(), "--num-classes is 11, the checkpoint has 1000 classes");
  options_.num_classes = 0;
  options_.url = "http://127.0.0.1/x";
  EXPECT_THAT(Error(), HasSubstr("want one of them"));
  options_.url.reset();
  options_.name = "resnet_9000";
  EXPECT_THAT(Error(),
              HasSubstr("unknown model 'resnet_9000'; known: inception_resnet_v2"));
  options_.name = "inception_resnet_v2";
  EXPECT_THAT(Error(), HasSubstr("good.ckpt"));
  EXPECT_FALSE(fs::exists(options_.output_dir));
}

TEST_F(ExportTest, LooksAtItsPathsBeforeTheWeights) {
  options_.checkpoint = output_.path() / "nosuch.ckpt";
  EXPECT_THAT(Error(), HasSubstr("nosuch.ckpt"));
  options_.labels = output_.path() / "nosuch.txt";
  EXPECT_THAT(Error(), HasSubstr("nosuch.txt"));
  ASSERT_OK(WriteFileAtomically(*options_.labels, "one\ntwo\n"));
  options_.num_classes = 3;
  EXPECT_THAT(Error(), HasSubstr("nosuch.txt: has 2 lines, the model has 3 classes"));
  options_.labels = std::nullopt;
  options_.num_classes = 0;
  ASSERT_OK(WriteFileAtomically(output_.path() / "file", "x"));
  options_.output_dir = output_.path() / "file" / "models";
  EXPECT_THAT(Error(), HasSubstr("file: is not a directory"));
}

TEST_F(ExportTest, ABrokenModelNeverReplacesAGoodOne) {
  ASSERT_OK_AND_ASSIGN(const Exported good, Export());
  options_.checkpoint = Checkpoint("broken");
  EXPECT_THAT(Error(), HasSubstr("the model does not work"));
  ASSERT_OK_AND_ASSIGN(const ModelFiles files, ReadModelFiles(model() / "1"));
  EXPECT_EQ(files.config.model_sha256, good.config.model_sha256);
  int entries = 0;
  for (const auto& entry : fs::directory_iterator(model())) {
    EXPECT_EQ(entry.path().filename(), "1");
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

// The program itself, killed at any moment: there is the old model or the new one,
// whole, and the next export clears away what was left behind.
TEST_F(ExportTest, SurvivesBeingKilled) {
  const auto start = [&] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(STDOUT_FILENO);
      ::execl(ORIEL_BINARY, "oriel", "export", kNetwork, "--checkpoint",
              Checkpoint("good").c_str(), "--image-size", "32", "--output-dir",
              options_.output_dir.c_str(), nullptr);
      ::_exit(127);
    }
    return child;
  };
  const auto leftovers = [&] {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(model())) {
      count += entry.path().filename() != "1";
    }
    return count;
  };
  const auto begin = std::chrono::steady_clock::now();
  int status = 0;
  ASSERT_GT(::waitpid(start(), &status, 0), 0);
  ASSERT_EQ(status, 0);
  const auto duration = std::chrono::steady_clock::now() - begin;
  constexpr int kKills = 8;
  for (int i = 0; i < kKills; ++i) {
    const pid_t child = start();
    std::this_thread::sleep_for(duration * i / kKills);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    ASSERT_OK(ReadModelFiles(model() / "1").status());
  }
  // Ctrl-C clears up after itself.
  ASSERT_OK(Export().status());
  EXPECT_EQ(leftovers(), 0);
  const pid_t child = start();
  std::this_thread::sleep_for(duration / 2);
  ::kill(child, SIGINT);
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) &&
              (WEXITSTATUS(status) == 130 || WEXITSTATUS(status) == 0))
      << status;
  EXPECT_EQ(leftovers(), 0);
  ASSERT_OK(ReadModelFiles(model() / "1").status());
}

TEST(ProbeImage, IsTheKnownSequence) {
  // As NumPy computes it from the formula (synth_input(0) at 299).
  const std::vector<float> image = ProbeImage(299, 299);
  ASSERT_EQ(image.size(), 299 * 299 * 3);
  EXPECT_FLOAT_EQ(image[0], 0.47437406f);
  EXPECT_FLOAT_EQ(image[1], -0.26973224f);
  EXPECT_FLOAT_EQ(image[2], 0.87097096f);
}

}  // namespace
}  // namespace oriel::model
