#include "serving/served_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/testing.h"
#include "serving/testing.h"

namespace oriel::serving {
namespace {

using testing::ElementsAre;
using Answers = std::vector<ImageAnswer>;

class ServedModelTest : public testing::Test {
 protected:
  void Start(const ServedModelOptions& options) {
    ASSERT_OK_AND_ASSIGN(model_,
                         ServedModel::Create(session_, options, pool_, Clock::Real()));
  }
  void TearDown() override {
    session_->preprocess_gate().Open();
    session_->run_gate().Open();
    if (model_ != nullptr) model_->Stop(kNever);
  }
  absl::StatusOr<std::future<Answers>> Classify(ClassifyRequest request) {
    auto promise = std::make_shared<std::promise<Answers>>();
    const absl::Status status = model_->Classify(
        std::move(request),
        [promise](Answers answers) { promise->set_value(std::move(answers)); });
    if (!status.ok()) return status;
    return promise->get_future();
  }
  static std::shared_ptr<const std::string> Image(std::string bytes) {
    return std::make_shared<const std::string>(std::move(bytes));
  }

  std::shared_ptr<FakeSession> session_ = std::make_shared<FakeSession>();
  WorkerPool pool_{2, 100};
  std::shared_ptr<ServedModel> model_;
};

TEST_F(ServedModelTest, EveryRunnerIsWarmedWithOneAndAFullBatch) {
  Start({.workers = 2});
  EXPECT_THAT(session_->batch_sizes(), ElementsAre(1, 4, 1, 4));
}

TEST_F(ServedModelTest, AnswersImageByImage) {
  Start({});
  ASSERT_OK_AND_ASSIGN(
      auto future,
      Classify({.images = {Image(FakeImage(3)), Image(std::string(kFakeSignature) + "x"),
                           Image(FakeImage(8))},
                .top_k = 2}));
  const Answers answers = future.get();
  ASSERT_EQ(answers.size(), 3);
  ASSERT_OK(answers[0].status);
  ASSERT_EQ(answers[0].labels.size(), 2);
  EXPECT_EQ(answers[0].labels[0].index, 3);
  EXPECT_EQ(answers[0].labels[0].probability, 0.75f);
  EXPECT_EQ(answers[1].status.code(), absl::StatusCode::kInvalidArgument);
  ASSERT_OK(answers[2].status);
  EXPECT_EQ(answers[2].labels[0].index, 8);
  EXPECT_GT(answers[2].timings.batch_size, 0);
}

TEST_F(ServedModelTest, TakesPixels) {
  Start({});
  std::vector<float> pixels(2 * session_->image_elements(), 6.0f);
  pixels[session_->image_elements()] = 2.0f;
  ASSERT_OK_AND_ASSIGN(auto future,
                       Classify({.pixels = pixels, .top_k = 0, .probabilities = true}));
  const Answers answers = future.get();
  ASSERT_EQ(answers.size(), 2);
  ASSERT_OK(answers[0].status);
  EXPECT_TRUE(answers[0].labels.empty());
  ASSERT_EQ(answers[0].probabilities.size(), FakeSession::kClasses);
  EXPECT_EQ(answers[0].probabilities[6], 0.75f);
  EXPECT_EQ(answers[1].probabilities[2], 0.75f);
  EXPECT_EQ(session_->preprocess_gate().arrived(), 0);
  pixels.pop_back();
  EXPECT_EQ(Classify({.pixels = pixels}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Classify({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServedModelTest, TakesAllImagesOfARequestOrNone) {
  Start({.max_pending = 3});
  session_->preprocess_gate().Close();
  ASSERT_OK_AND_ASSIGN(auto first,
                       Classify({.images = {Image(FakeImage(1)), Image(FakeImage(2))}}));
  EXPECT_EQ(
      Classify({.images = {Image(FakeImage(1)), Image(FakeImage(2))}}).status().code(),
      absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(model_->CheckCapacity(2).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_OK(model_->CheckCapacity(1));
  ASSERT_OK_AND_ASSIGN(auto second, Classify({.images = {Image(FakeImage(5))}}));
  session_->preprocess_gate().Open();
  EXPECT_EQ(first.get()[1].labels[0].index, 2);
  EXPECT_EQ(second.get()[0].labels[0].index, 5);
}

TEST_F(ServedModelTest, CancelledIsNotDecoded) {
  Start({});
  session_->preprocess_gate().Close();
  ASSERT_OK_AND_ASSIGN(auto busy,
                       Classify({.images = {Image(FakeImage(1)), Image(FakeImage(2))}}));
  session_->preprocess_gate().AwaitArrived(2);  // both threads of the pool are in it
  auto cancellation = std::make_shared<Cancellation>();
  ASSERT_OK_AND_ASSIGN(auto cancelled, Classify({.images = {Image(FakeImage(3))},
                                                 .cancellation = cancellation}));
  cancellation->Cancel();
  session_->preprocess_gate().Open();
  EXPECT_EQ(cancelled.get()[0].status.code(), absl::StatusCode::kCancelled);
  EXPECT_OK(busy.get()[0].status);
  EXPECT_EQ(session_->preprocess_gate().arrived(), 2);
}

TEST_F(ServedModelTest, StopAnswersWhatWasAcceptedAndRefusesTheRest) {
  Start({});
  session_->run_gate().Close();
  ASSERT_OK_AND_ASSIGN(auto accepted, Classify({.images = {Image(FakeImage(4))}}));
  std::thread stopper([&] { model_->Stop(kNever); });
  while (model_->CheckCapacity(1).ok()) std::this_thread::yield();
  EXPECT_EQ(Classify({.images = {Image(FakeImage(1))}}).status().code(),
            absl::StatusCode::kUnavailable);
  session_->run_gate().Open();
  EXPECT_EQ(accepted.get()[0].labels[0].index, 4);
  stopper.join();
}

TEST_F(ServedModelTest, StopWithoutGraceStillAnswersEveryone) {
  Start({});
  session_->preprocess_gate().Close();
  std::vector<std::future<Answers>> futures;
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK_AND_ASSIGN(auto future, Classify({.images = {Image(FakeImage(4))}}));
    futures.push_back(std::move(future));
  }
  session_->preprocess_gate().AwaitArrived(2);
  std::thread stopper([&] { model_->Stop(TimePoint::min()); });
  while (model_->CheckCapacity(1).ok()) std::this_thread::yield();
  session_->preprocess_gate().Open();
  stopper.join();
  int unavailable = 0;
  for (auto& future : futures) {
    unavailable += absl::IsUnavailable(future.get()[0].status);
  }
  EXPECT_GT(unavailable, 0);
}

TEST_F(ServedModelTest, AnswersAreKeptByWhatWasSent) {
  const auto cache = std::make_shared<ResponseCache>(1 << 20);
  Start({.cache = cache});
  const int warm = session_->runs();
  const auto ask = [&](ClassifyRequest request) {
    auto future = Classify(std::move(request));
    EXPECT_OK(future.status());
    return future->get()[0];
  };
  const ImageAnswer first = ask({.images = {Image(FakeImage(3))}, .top_k = 2});
  EXPECT_EQ(first.timings.batch_size, 1);
  const ImageAnswer again = ask({.images = {Image(FakeImage(3))}, .top_k = 1});
  EXPECT_EQ(again.timings.batch_size, 0);
  EXPECT_EQ(again.labels.size(), 1);
  EXPECT_EQ(again.labels[0].index, 3);
  EXPECT_EQ(again.labels[0].probability, first.labels[0].probability);
  EXPECT_EQ(session_->runs(), warm + 1);
  const ImageAnswer all =
      ask({.images = {Image(FakeImage(3))}, .top_k = 0, .probabilities = true});
  EXPECT_EQ(all.timings.batch_size, 0);
  EXPECT_EQ(all.probabilities.size(), FakeSession::kClasses);
  // Other bytes, and the same bytes seen otherwise.
  EXPECT_EQ(ask({.images = {Image(FakeImage(4))}}).labels[0].index, 4);
  EXPECT_EQ(
      ask({.images = {Image(FakeImage(3))}, .honor_exif = false}).timings.batch_size, 1);
  EXPECT_EQ(session_->runs(), warm + 3);
  // What cannot be read is no answer.
  EXPECT_FALSE(ask({.images = {Image("x")}}).status.ok());
  EXPECT_FALSE(ask({.images = {Image("x")}}).status.ok());
  const StatisticsSnapshot statistics = model_->statistics();
  EXPECT_EQ(statistics.cache_hit.count, 2);
  EXPECT_EQ(statistics.cache_miss.count, 5);
  EXPECT_EQ(statistics.inferences, 3);
  EXPECT_EQ(statistics.success.count, 5);
  // Another version, or the same loaded anew, has answers of its own.
  model_->Stop(kNever);
  Start({.cache = cache});
  EXPECT_EQ(ask({.images = {Image(FakeImage(3))}}).timings.batch_size, 1);
}

}  // namespace
}  // namespace oriel::serving
