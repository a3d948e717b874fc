#include "model/model_graph.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/digest.h"
#include "base/files.h"
#include "base/testing.h"
#include "engine/weight_store.h"
#include "graph/testing.h"
#include "model/model_directory.h"

namespace oriel::model {
namespace {

namespace fs = std::filesystem;
using engine::Backend;
using engine::Precision;
using ::testing::HasSubstr;
using ::testing::Not;

// Convolutions whose batch norm is not folded and whose weights are multiplied: what is
// computed of constants, from large ones too.
tensorflow::GraphDef Network() {
  tensorflow::GraphDef graph;
  auto& input = graph::AddNode(graph, "input", "Placeholder");
  graph::SetShape(input, "shape", Shape{-1, 9, 9, 8});
  std::vector<float> weights(3 * 3 * 8 * 64), square(64 * 64);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(0.7f * i) / 8;
  for (size_t i = 0; i < square.size(); ++i) square[i] = std::cos(0.3f * i) / 8;
  graph::AddConst(graph, "w1", {3, 3, 8, 64}, weights);
  graph::AddConst(graph, "w2", {1, 1, 64, 64}, square);
  graph::AddConst(graph, "half", {}, {0.5f});
  for (const char* name : {"scale", "offset", "mean", "variance"}) {
    graph::AddConst(graph, name, {64}, std::vector<float>(64, 0.75f));
  }
  const auto conv = [&](const char* name, const char* from, const char* filter) {
    auto& node = graph::AddNode(graph, name, "Conv2D", {from, filter});
    graph::SetInts(node, "strides", std::vector<int64_t>{1, 1, 1, 1});
    graph::SetString(node, "padding", "SAME");
  };
  conv("c1", "input", "w1");
  auto& norm = graph::AddNode(graph, "bn", "FusedBatchNorm",
                              {"c1", "scale", "offset", "mean", "variance"});
  graph::SetBool(norm, "is_training", false);
  graph::SetFloat(norm, "epsilon", 0.001f);
  graph::AddNode(graph, "relu", "Relu", {"bn"});
  graph::AddNode(graph, "scaled", "Mul", {"w2", "half"});
  conv("c2", "relu", "scaled");
  return graph;
}

class ModelGraphTest : public ::testing::Test {
 protected:
  ModelGraphTest() {
    ::setenv("XDG_CACHE_HOME", user_.path().c_str(), 1);
    fs::create_directories(path());
    EXPECT_OK(graph::WriteGraphDef(Network(), file().string()));
    config_.model_sha256 = *FileHexDigest(DigestKind::kSha256, file());
  }

  fs::path path() const { return directory_.path() / "net" / "1"; }
  fs::path file() const { return path() / kGraphFile; }

  std::vector<fs::path> Caches(const fs::path& root) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      if (entry.path().extension() == ".plans") found.push_back(entry.path());
    }
    return found;
  }

  struct Result {
    std::string report;
    size_t made = 0;  // packed weights
    std::vector<float> output;
  };

  // Compiles, runs and saves.
  absl::StatusOr<Result> Use(const PlanCacheOptions& options = {}, int64_t batch = 1,
                             Precision precision = Precision::kF32) {
    ASSIGN_OR_RETURN(const auto graph, ModelGraph::Open(path(), config_, precision,
                                                        Backend::kAuto, options));
    engine::PlanOptions plan_options{.precision = precision,
                                     .inputs = {{"input", {batch, 9, 9, 8}}},
                                     .outputs = {"c2"},
                                     .threads = 2};
    graph->SetUp(plan_options);
    ASSIGN_OR_RETURN(const auto plan,
                     engine::Plan::Compile(graph->graph(), plan_options));
    std::vector<Tensor> inputs = engine::MakeTensors(plan->inputs());
    const auto data = inputs[0].mutable_data<float>();
    for (size_t i = 0; i < data.size(); ++i) data[i] = std::sin(0.1f * i);
    std::vector<Tensor> outputs = engine::MakeTensors(plan->outputs());
    RETURN_IF_ERROR(plan->Run(*plan->NewContext(), inputs, outputs));
    const size_t made = plan_options.weights->counts().made;
    RETURN_IF_ERROR(graph->SaveCache());
    const auto output = outputs[0].data<float>();
    return Result{graph->cache_report(), made, {output.begin(), output.end()}};
  }

  TemporaryDirectory directory_, user_;
  ModelConfig config_;
};

TEST_F(ModelGraphTest, TheSecondStartPacksNothing) {
  ASSERT_OK_AND_ASSIGN(const Result without, Use({.enabled = false}));
  EXPECT_TRUE(Caches(directory_.path()).empty());
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  EXPECT_GT(first.made, 0);
  EXPECT_EQ(first.report, "plan cache: none");
  ASSERT_EQ(Caches(path()).size(), 1);
  const fs::path cache = Caches(path())[0];
  ASSERT_OK_AND_ASSIGN(const FileStamp written, StampOf(cache));
  ASSERT_OK_AND_ASSIGN(const Result second, Use({.verify = true}));
  EXPECT_EQ(second.made, 0);
  EXPECT_EQ(second.report, "plan cache: " + cache.string());
  EXPECT_EQ(first.output, without.output);
  EXPECT_EQ(second.output, without.output);
  // There was nothing to add.
  EXPECT_EQ(*StampOf(cache), written);
}

TEST_F(ModelGraphTest, AsTheWholeGraphGives) {
  engine::PlanOptions options{
      .inputs = {{"input", {1, 9, 9, 8}}}, .outputs = {"c2"}, .threads = 2};
  ASSERT_OK_AND_ASSIGN(const auto plan, engine::Plan::Compile(Network(), options));
  std::vector<Tensor> inputs = engine::MakeTensors(plan->inputs());
  const auto data = inputs[0].mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i) data[i] = std::sin(0.1f * i);
  std::vector<Tensor> outputs = engine::MakeTensors(plan->outputs());
  ASSERT_OK(plan->Run(*plan->NewContext(), inputs, outputs));
  const auto output = outputs[0].data<float>();
  ASSERT_OK_AND_ASSIGN(const Result cached, Use());
  EXPECT_EQ(cached.output, std::vector<float>(output.begin(), output.end()));
}

TEST_F(ModelGraphTest, EachPrecisionHasItsFile) {
  ASSERT_OK(Use().status());
  ASSERT_OK_AND_ASSIGN(const Result exact, Use({}, 1, Precision::kF32Exact));
  EXPECT_EQ(exact.report, "plan cache: none");
  EXPECT_EQ(Caches(path()).size(), 2);
}

TEST_F(ModelGraphTest, GrowsByWhatOtherPlansNeed) {
  ASSERT_OK(Use().status());
  ASSERT_OK(Use({}, /*batch=*/16).status());
  ASSERT_OK_AND_ASSIGN(const Result again, Use({}, 16));
  EXPECT_EQ(again.made, 0);
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  EXPECT_EQ(first.made, 0);
}

TEST_F(ModelGraphTest, IsOfOneModelOnly) {
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  tensorflow::GraphDef graph = Network();
  for (auto& node : *graph.mutable_node()) {
    if (node.name() == "half") graph::SetTensor(node, "value", graph::Floats({}, {2}));
  }
  ASSERT_OK(graph::WriteGraphDef(graph, file().string()));
  // The file is another one, and oriel.json does not know.
  const auto unknown = Use();
  EXPECT_THAT(std::string(Message(unknown.status())), HasSubstr("model.pb: SHA-256 is"));
  config_.model_sha256 = *FileHexDigest(DigestKind::kSha256, file());
  ASSERT_OK_AND_ASSIGN(const Result other, Use());
  EXPECT_THAT(other.report, HasSubstr("is of another program or model"));
  ASSERT_EQ(other.output.size(), first.output.size());
  EXPECT_FLOAT_EQ(other.output[5], 4 * first.output[5]);
  ASSERT_OK_AND_ASSIGN(const Result again, Use());
  EXPECT_EQ(again.output, other.output);
  EXPECT_EQ(again.made, 0);
}

TEST_F(ModelGraphTest, ACopyIsRecognized) {
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  fs::last_write_time(file(), fs::last_write_time(file()) + std::chrono::hours(1));
  ASSERT_OK_AND_ASSIGN(const Result copied, Use());
  EXPECT_EQ(copied.made, 0);
  EXPECT_EQ(copied.output, first.output);
  ASSERT_OK_AND_ASSIGN(const auto cache, MappedFile::Open(Caches(path())[0]));
  EXPECT_EQ(ParsePlanCache(cache->bytes(), "")->model, *StampOf(file()));
}

TEST_F(ModelGraphTest, ADamagedFileIsReplaced) {
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  const fs::path cache = Caches(path())[0];
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(cache));
  for (const size_t size : {size_t{0}, size_t{11}, size_t{200}, good.size() - 1}) {
    ASSERT_OK(WriteFileAtomically(cache, good.substr(0, size)));
    ASSERT_OK_AND_ASSIGN(const Result result, Use());
    EXPECT_THAT(result.report, HasSubstr("plan cache: not used: ")) << size;
    EXPECT_GT(result.made, 0);
    EXPECT_EQ(result.output, first.output);
    EXPECT_EQ(ReadFile(cache)->size(), good.size());
  }
  // Weights are only read where they are to be verified.
  std::string flipped = *ReadFile(cache);
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  ASSERT_OK(WriteFileAtomically(cache, flipped));
  ASSERT_OK_AND_ASSIGN(const Result result, Use({.verify = true}));
  EXPECT_THAT(result.report, HasSubstr("have the checksum"));
  EXPECT_EQ(result.output, first.output);
}

TEST_F(ModelGraphTest, OthersMayNotWriteIt) {
  ASSERT_OK(Use().status());
  const fs::path cache = Caches(path())[0];
  fs::permissions(cache, fs::perms::others_write, fs::perm_options::add);
  ASSERT_OK_AND_ASSIGN(const Result result, Use());
  EXPECT_THAT(result.report, HasSubstr("others may write to it"));
  EXPECT_EQ(Use()->made, 0);  // a new one took its place
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(cache.c_str(), 12345, 12345), 0);
    EXPECT_THAT(Use()->report, HasSubstr("belongs to user 12345"));
  }
  fs::remove(cache);
  fs::create_symlink("/dev/null", cache);
  EXPECT_THAT(Use()->report, HasSubstr("plan cache: not used: "));
}

TEST_F(ModelGraphTest, GoesElsewhereWhereItMayNotBeWritten) {
  // A folder in its place, as root may write anywhere.
  ASSERT_OK(Use().status());
  const fs::path cache = Caches(path())[0];
  fs::remove(cache);
  fs::create_directory(cache);
  ASSERT_OK(Use().status());
  ASSERT_EQ(Caches(user_.path()).size(), 1);
  ASSERT_OK_AND_ASSIGN(const Result second, Use());
  EXPECT_EQ(second.made, 0);
  EXPECT_EQ(second.report, "plan cache: " + Caches(user_.path())[0].string());
  const fs::path wanted = directory_.path() / "wanted" / "deep";
  ASSERT_OK(Use({.directory = wanted}).status());
  EXPECT_EQ(Caches(wanted).size(), 1);
  EXPECT_EQ(Use({.directory = wanted})->made, 0);
}

// Root may write anywhere, and becomes nobody here; others lose the right to write.
class WithoutWriting {
 public:
  explicit WithoutWriting(const fs::path& directory) : directory_(directory) {
    fs::permissions(directory_, fs::perms(0555));
    if (::geteuid() == 0) was_root_ = ::seteuid(kNobody) == 0;
  }
  ~WithoutWriting() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
    fs::permissions(directory_, fs::perms(0755));
  }
  static constexpr uid_t kNobody = 65534;

 private:
  const fs::path directory_;
  bool was_root_ = false;
};

TEST_F(ModelGraphTest, ReadsFirstWhatItCanWriteTo) {
  ASSERT_OK(Use().status());
  const fs::path shipped = Caches(path())[0];
  // As a copy of the model has it.
  fs::last_write_time(file(), fs::last_write_time(file()) + std::chrono::hours(1));
  for (const fs::path& opened : {directory_.path(), path().parent_path()}) {
    fs::permissions(opened, fs::perms(0755));
  }
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(user_.path().c_str(), WithoutWriting::kNobody, 0), 0);
  }
  const WithoutWriting writing(path());
  ASSERT_OK_AND_ASSIGN(const Result first, Use());
  EXPECT_EQ(first.report, "plan cache: " + shipped.string());
  EXPECT_EQ(first.made, 0);
  ASSERT_EQ(Caches(user_.path()).size(), 1);
  const fs::path own = Caches(user_.path())[0];
  ASSERT_OK_AND_ASSIGN(const FileStamp written, StampOf(own));
  ASSERT_OK_AND_ASSIGN(const Result second, Use());
  EXPECT_EQ(second.report, "plan cache: " + own.string());
  EXPECT_EQ(second.made, 0);
  EXPECT_EQ(*StampOf(own), written);
  // What another batch size needs is there the next time, too.
  EXPECT_GT(Use({}, 1, Precision::kF32Exact)->made, 0);
  EXPECT_EQ(Use({}, 1, Precision::kF32Exact)->made, 0);
}

TEST_F(ModelGraphTest, ProcessesAddToWhatOthersWrote) {
  const auto open = [&] {
    return ModelGraph::Open(path(), config_, Precision::kF32, Backend::kAuto, {});
  };
  const auto choices_of = [](const ModelGraph& graph) {
    engine::PlanOptions options;
    graph.SetUp(options);
    return options.choices;
  };
  {
    ASSERT_OK_AND_ASSIGN(const auto graph, open());
    choices_of(*graph)->Insert("old", "1");
    ASSERT_OK(graph->SaveCache());
  }
  ASSERT_OK_AND_ASSIGN(const auto slow, open());
  ASSERT_OK_AND_ASSIGN(const auto tuner, open());
  choices_of(*tuner)->Insert("tuned", "direct");
  choices_of(*tuner)->Insert("old", "2");
  ASSERT_OK(tuner->SaveCache());
  ASSERT_OK(Use().status());  // packs weights, and adds them
  choices_of(*slow)->Insert("new", "winograd");
  ASSERT_OK(slow->SaveCache());

  ASSERT_OK_AND_ASSIGN(const auto last, open());
  EXPECT_EQ(
      choices_of(*last)->entries(),
      (engine::Choices::Entries{{"new", "winograd"}, {"old", "2"}, {"tuned", "direct"}}));
  EXPECT_EQ(Use()->made, 0);
}

TEST_F(ModelGraphTest, SaysBeforehandThatItCannotBeSaved) {
  ASSERT_OK_AND_ASSIGN(
      const auto graph,
      ModelGraph::Open(path(), config_, Precision::kF32, Backend::kAuto,
                       {.directory = "/proc/no_directory_can_be_made_here"}));
  EXPECT_THAT(Message(graph->CheckCacheCanBeSaved()), HasSubstr("/proc/no_directory"));
  ASSERT_OK_AND_ASSIGN(
      const auto beside,
      ModelGraph::Open(path(), config_, Precision::kF32, Backend::kAuto, {}));
  EXPECT_OK(beside->CheckCacheCanBeSaved());
  EXPECT_TRUE(Caches(path()).empty());
}

TEST_F(ModelGraphTest, KeepsChoices) {
  ASSERT_OK(Use().status());
  for (const char* value : {"direct", "winograd"}) {
    ASSERT_OK_AND_ASSIGN(
        const auto graph,
        ModelGraph::Open(path(), config_, Precision::kF32, Backend::kAuto, {}));
    engine::PlanOptions options;
    graph->SetUp(options);
    EXPECT_NE(options.choices->Find("conv"), value);
    options.choices->Insert("conv", value);
    ASSERT_OK(graph->SaveCache());
  }
  ASSERT_OK_AND_ASSIGN(
      const auto graph,
      ModelGraph::Open(path(), config_, Precision::kF32, Backend::kAuto, {}));
  engine::PlanOptions options;
  graph->SetUp(options);
  EXPECT_EQ(options.choices->Find("conv"), "winograd");
  EXPECT_EQ(Use()->made, 0);  // the weights are still there
}

TEST_F(ModelGraphTest, ReportsAConstantThatCannotBeRead) {
  ASSERT_OK_AND_ASSIGN(const auto graph, ModelGraph::OpenFile(file(), false));
  engine::PlanOptions options{.inputs = {{"input", {1, 9, 9, 8}}}, .outputs = {"c2"}};
  graph->SetUp(options);
  fs::resize_file(file(), 3000);
  const auto plan = engine::Plan::Compile(graph->graph(), options);
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Message(plan.status())), HasSubstr("model.pb: ends at byte"));
}

}  // namespace
}  // namespace oriel::model
