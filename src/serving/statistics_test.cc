#include "serving/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <numeric>

#include "base/testing.h"
#include "serving/served_model.h"
#include "serving/testing.h"

namespace oriel::serving {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr uint64_t kMillisecond = 1'000'000;  // ns

TEST(SecondsHistogram, BoundsBelongToTheirBucket) {
  SecondsHistogram histogram;
  for (const int ms : {0, 1, 1, 2, 10'000, 10'001}) histogram.Observe(milliseconds(ms));
  EXPECT_EQ(histogram.counts[0], 1);
  EXPECT_EQ(histogram.counts[1], 2);  // up to 1 ms
  EXPECT_EQ(histogram.counts[2], 1);
  EXPECT_EQ(histogram.counts[kSecondsBounds.size() - 1], 1);
  EXPECT_EQ(histogram.counts[kSecondsBounds.size()], 1);
  EXPECT_EQ(histogram.total.count, 6);
  EXPECT_EQ(histogram.total.ns, 20'005 * kMillisecond);
}

class StatisticsTest : public testing::Test {
 protected:
  void SetUp() override {
    // The clock stands still: nobody may wait for company.
    const ServedModelOptions options = {.max_delay = milliseconds(0), .max_pending = 4};
    ASSERT_OK_AND_ASSIGN(model_, ServedModel::Create(session_, options, pool_, clock_));
  }
  void TearDown() override {
    session_->preprocess_gate().Open();
    session_->run_gate().Open();
    if (model_ != nullptr) model_->Stop(kNever);
  }
  std::future<void> Classify(ClassifyRequest request) {
    auto promise = std::make_shared<std::promise<void>>();
    EXPECT_OK(model_->Classify(std::move(request), [promise](std::vector<ImageAnswer>) {
      promise->set_value();
    }));
    return promise->get_future();
  }
  static ClassifyRequest Images(std::initializer_list<std::string> images) {
    ClassifyRequest request;
    for (const std::string& image : images) {
      request.images.push_back(std::make_shared<const std::string>(image));
    }
    return request;
  }
  uint64_t Failures(FailureReason reason) {
    return model_->statistics().failures[static_cast<int>(reason)].count;
  }

  FakeClock clock_;
  std::shared_ptr<FakeSession> session_ = std::make_shared<FakeSession>();
  WorkerPool pool_{1, 100};
  std::shared_ptr<ServedModel> model_;
};

TEST_F(StatisticsTest, NothingYetAndWarmUpIsNoPartOfIt) {
  const StatisticsSnapshot statistics = model_->statistics();
  EXPECT_EQ(statistics.success.count, 0);
  EXPECT_EQ(statistics.inferences, 0);
  EXPECT_TRUE(statistics.batches.empty());
  EXPECT_EQ(statistics.last_inference.time_since_epoch().count(), 0);
}

TEST_F(StatisticsTest, TimesOfEachStage) {
  const auto before = std::chrono::system_clock::now();
  session_->preprocess_gate().Close();
  session_->run_gate().Close();
  const int runs = session_->run_gate().arrived();
  auto answered = Classify(Images({FakeImage(1)}));
  session_->preprocess_gate().AwaitArrived(1);
  clock_.Advance(milliseconds(5));
  session_->preprocess_gate().Open();
  session_->run_gate().AwaitArrived(runs + 1);
  clock_.Advance(milliseconds(40));
  session_->run_gate().Open();
  answered.get();
  const StatisticsSnapshot statistics = model_->statistics();
  EXPECT_EQ(statistics.success.count, 1);
  EXPECT_EQ(statistics.success.ns, 45 * kMillisecond);
  EXPECT_EQ(statistics.preprocess.ns, 5 * kMillisecond);
  EXPECT_EQ(statistics.compute.ns, 40 * kMillisecond);
  EXPECT_EQ(statistics.queue.ns, 0);
  EXPECT_EQ(statistics.batches.at(1).compute.ns, 40 * kMillisecond);
  EXPECT_EQ(statistics.image_preprocess.total.ns, 5 * kMillisecond);
  EXPECT_EQ(statistics.image_compute.total.ns, 40 * kMillisecond);
  EXPECT_GE(statistics.last_inference, before);
}

TEST_F(StatisticsTest, WaitingForTheOneThreadThatDecodes) {
  session_->preprocess_gate().Close();
  auto first = Classify(Images({FakeImage(1)}));
  session_->preprocess_gate().AwaitArrived(1);
  auto second = Classify(Images({FakeImage(2)}));
  clock_.Advance(milliseconds(7));
  session_->preprocess_gate().Open();
  first.get();
  second.get();
  const StatisticsSnapshot statistics = model_->statistics();
  EXPECT_EQ(statistics.preprocess.ns, 7 * kMillisecond);
  EXPECT_EQ(statistics.queue.ns, 7 * kMillisecond);
  EXPECT_EQ(statistics.success.ns, 14 * kMillisecond);
  EXPECT_EQ(statistics.image_queue.total.count, 2);
}

TEST_F(StatisticsTest, ARequestOfFourImagesIsOneSuccess) {
  Classify(Images({FakeImage(1), FakeImage(2), FakeImage(3), FakeImage(4)})).get();
  const StatisticsSnapshot statistics = model_->statistics();
  EXPECT_EQ(statistics.success.count, 1);
  EXPECT_EQ(statistics.queue.count, 1);
  EXPECT_EQ(statistics.inferences, 4);
  std::vector<int> sizes = session_->batch_sizes();
  sizes.erase(sizes.begin(), sizes.begin() + 2);  // warming up
  EXPECT_EQ(statistics.Executions(), sizes.size());
  int images = 0;
  for (const auto& [size, batch] : statistics.batches) {
    EXPECT_EQ(batch.compute.count, std::count(sizes.begin(), sizes.end(), size));
    EXPECT_EQ(batch.gather.count, batch.compute.count);
    images += size * static_cast<int>(batch.compute.count);
  }
  EXPECT_EQ(images, 4);
}

TEST_F(StatisticsTest, FailuresByReason) {
  Classify(Images({FakeImage(1), "no image"})).get();
  EXPECT_EQ(Failures(FailureReason::kBadImage), 1);
  EXPECT_EQ(model_->statistics().success.count, 0);
  EXPECT_EQ(model_->statistics().inferences, 1);

  ClassifyRequest late = Images({FakeImage(1)});
  late.deadline = clock_.Now();
  Classify(std::move(late)).get();
  EXPECT_EQ(Failures(FailureReason::kDeadline), 1);

  auto cancellation = std::make_shared<Cancellation>();
  cancellation->Cancel();
  ClassifyRequest cancelled = Images({FakeImage(1)});
  cancelled.cancellation = cancellation;
  Classify(std::move(cancelled)).get();
  EXPECT_EQ(Failures(FailureReason::kCancelled), 1);

  const auto five =
      Images({FakeImage(1), FakeImage(1), FakeImage(1), FakeImage(1), FakeImage(1)});
  EXPECT_FALSE(model_->CheckCapacity(5).ok());
  EXPECT_FALSE(model_->Classify(five, [](auto) {}).ok());
  EXPECT_EQ(Failures(FailureReason::kRejected), 2);

  model_->Stop(kNever);
  EXPECT_FALSE(model_->CheckCapacity(1).ok());
  EXPECT_EQ(Failures(FailureReason::kOther), 1);
  EXPECT_EQ(model_->statistics().AllFailures().count, 6);
  EXPECT_THAT(model_->statistics().failed_images, ElementsAre(0, 1, 1, 1, 0));
}

}  // namespace
}  // namespace oriel::serving
