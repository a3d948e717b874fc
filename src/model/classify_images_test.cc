#include "model/classify_images.h"

#include <gmock/gmock.h>

#include <atomic>

#include "base/testing.h"
#include "model/top_k.h"

namespace oriel::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A network of four inputs and ten classes. An image is a decimal digit as text;
// the network puts 1 at that class. Counts what it is asked to do.
class FakeSession : public Session {
 public:
  explicit FakeSession(int max_batch) { options_.max_batch = max_batch; }

  const ModelConfig& config() const override { return config_; }
  const SessionOptions& options() const override { return options_; }
  const engine::PrecisionChoice& precision() const override { return precision_; }
  const std::string& name() const override { return name_; }
  const std::string& version() const override { return name_; }
  int num_classes() const override { return 10; }
  size_t image_elements() const override { return 4; }

  absl::Status Preprocess(Bytes image, bool honor_exif,
                          std::span<float> dst) const override {
    const std::string_view text = AsStringView(image);
    if (text.size() != 1) return InvalidArgument("'{}' is no digit", text);
    if (text == "!") throw std::bad_alloc();
    std::fill(dst.begin(), dst.end(), static_cast<float>(text[0] - '0'));
    if (honor_exif) turned_ = true;
    return absl::OkStatus();
  }

  class FakeRunner : public Runner {
   public:
    explicit FakeRunner(const FakeSession& session) : session_(session) {}
    absl::Status Run(std::span<const float> images, int n,
                     std::span<float> probabilities) override {
      session_.batches_.push_back(n);
      if (session_.fail_) return Internal("the network failed");
      EXPECT_EQ(images.size(), n * 4);
      EXPECT_EQ(probabilities.size(), n * 10);
      std::fill(probabilities.begin(), probabilities.end(), 0.0f);
      for (int i = 0; i < n; ++i) {
        for (int j = 1; j < 4; ++j) EXPECT_EQ(images[i * 4], images[i * 4 + j]);
        probabilities[i * 10 + static_cast<int>(images[i * 4])] = 1;
      }
      return absl::OkStatus();
    }

   private:
    const FakeSession& session_;
  };
  absl::StatusOr<std::unique_ptr<Runner>> NewRunner() const override {
    return std::make_unique<FakeRunner>(*this);
  }

  std::vector<ScoredLabel> TopK(std::span<const float> probabilities,
                                int k) const override {
    std::vector<ScoredLabel> top;
    for (const int i : TopIndices(probabilities, k)) {
      top.push_back({i, "", std::to_string(i), probabilities[i]});
    }
    return top;
  }

  mutable std::vector<int> batches_;
  mutable std::atomic<bool> turned_ = false;
  bool fail_ = false;

 private:
  ModelConfig config_;
  engine::PrecisionChoice precision_;
  SessionOptions options_;
  std::string name_ = "fake";
};

ImageInput Input(std::string text) {
  return {"image " + text, [text] { return text; }};
}

TEST(ClassifyImages, KeepsTheOrderAtEverySize) {
  for (const int batch : {1, 3, 8}) {
    for (size_t count = 0; count <= 30; ++count) {
      FakeSession session(batch);
      std::vector<ImageInput> inputs;
      for (size_t i = 0; i < count; ++i) inputs.push_back(Input(std::to_string(i % 10)));
      size_t next = 0;
      ASSERT_OK(ClassifyImages(session, inputs, {.decode_threads = 3},
                               [&](const ImageResult& result) {
                                 EXPECT_EQ(result.index, next++);
                                 ASSERT_OK(result.status);
                                 ASSERT_EQ(result.top.size(), 5);
                                 EXPECT_EQ(result.top[0].index, result.index % 10);
                                 EXPECT_EQ(result.top[0].probability, 1.0f);
                               }));
      EXPECT_EQ(next, count);
    }
  }
}

TEST(ClassifyImages, FillsBatches) {
  FakeSession session(4);
  std::vector<ImageInput> inputs(10, Input("7"));
  ASSERT_OK(ClassifyImages(session, inputs, {}, [](const ImageResult&) {}));
  EXPECT_THAT(session.batches_, ElementsAre(4, 4, 2));
}

TEST(ClassifyImages, BadImagesDoNotStopTheOthers) {
  FakeSession session(4);
  std::vector<ImageInput> inputs;
  for (const char* text :
       {"bad", "1", "bad", "2", "bad", "bad", "bad", "bad", "3", "!"}) {
    inputs.push_back(Input(text));
  }
  inputs.push_back({"gone", [] { return NotFound("gone: No such file"); }});
  std::vector<std::string> seen;
  ASSERT_OK(ClassifyImages(session, inputs, {.top_k = 1}, [&](const ImageResult& result) {
    seen.push_back(result.status.ok() ? result.top[0].label
                                      : std::string(Message(result.status)));
  }));
  EXPECT_THAT(
      seen, ElementsAre("'bad' is no digit", "1", "'bad' is no digit", "2",
                        "'bad' is no digit", "'bad' is no digit", "'bad' is no digit",
                        "'bad' is no digit", "3", "out of memory", "gone: No such file"));
  EXPECT_THAT(session.batches_, ElementsAre(2, 1));  // the batch in between had none
}

TEST(ClassifyImages, PassesTheExifFlag) {
  for (const bool honor : {false, true}) {
    FakeSession session(2);
    const std::vector<ImageInput> inputs = {Input("1")};
    ASSERT_OK(ClassifyImages(session, inputs, {.honor_exif = honor},
                             [](const ImageResult&) {}));
    EXPECT_EQ(session.turned_, honor);
  }
}

TEST(ClassifyImages, StopsWhenTheNetworkFails) {
  FakeSession session(2);
  session.fail_ = true;
  std::vector<ImageInput> inputs(100, Input("7"));
  const absl::Status status =
      ClassifyImages(session, inputs, {}, [](const ImageResult&) { FAIL(); });
  EXPECT_THAT(std::string(Message(status)), HasSubstr("the network failed"));
}

TEST(ClassifyImages, HoldsTwoBatchesAtMost) {
  FakeSession session(4);
  std::atomic<size_t> read = 0;
  size_t finished = 0;
  size_t most = 0;
  std::vector<ImageInput> inputs(100, {"image", [&] {
                                         ++read;
                                         return std::string("1");
                                       }});
  ASSERT_OK(
      ClassifyImages(session, inputs, {.decode_threads = 4}, [&](const ImageResult&) {
        most = std::max(most, read - finished);
        ++finished;
      }));
  EXPECT_EQ(read, 100);
  EXPECT_LE(most, 12);  // two batches, and the one whose results are being told
}

}  // namespace
}  // namespace oriel::model
