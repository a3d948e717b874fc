#include "base/ordered_work.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "base/testing.h"

namespace oriel {
namespace {

TEST(OrderedWorkTest, ResultsComeInOrderWhateverTheThreads) {
  for (const int threads : {1, 2, 7}) {
    for (const size_t ahead : {1, 3, 64}) {
      std::vector<size_t> taken;
      ASSERT_OK(OrderedWork<std::unique_ptr<size_t>>::Run(
          100, threads, ahead,
          [](size_t i) {
            if (i % 10 == 0) std::this_thread::yield();
            return std::make_unique<size_t>(i * i);
          },
          [&](size_t i, std::unique_ptr<size_t> result) {
            EXPECT_EQ(*result, i * i);
            taken.push_back(i);
            return absl::OkStatus();
          }));
      ASSERT_EQ(taken.size(), 100);
      EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
    }
  }
}

TEST(OrderedWorkTest, NeverGoesFurtherAheadThanItMay) {
  std::atomic<size_t> taken{0};
  std::atomic<bool> too_far{false};
  ASSERT_OK(OrderedWork<int>::Run(
      200, 4, 5,
      [&](size_t i) {
        if (i > taken + 5) too_far = true;  // one is being taken
        return 0;
      },
      [&](size_t, int) {
        ++taken;
        return absl::OkStatus();
      }));
  EXPECT_FALSE(too_far);
}

TEST(OrderedWorkTest, EndsAtTheFirstError) {
  std::atomic<size_t> worked{0};
  const absl::Status status = OrderedWork<int>::Run(
      1000, 3, 4,
      [&](size_t) {
        ++worked;
        return 0;
      },
      [](size_t i, int) { return i == 10 ? DataLoss("eleven") : absl::OkStatus(); });
  EXPECT_EQ(Message(status), "eleven");
  EXPECT_LE(worked, 15);
}

TEST(OrderedWorkTest, NothingToDo) {
  EXPECT_OK(OrderedWork<int>::Run(
      0, 4, 4, [](size_t) { return 0; },
      [](size_t, int) { return Internal("nothing to take"); }));
}

}  // namespace
}  // namespace oriel
