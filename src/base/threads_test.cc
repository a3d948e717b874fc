#include "base/threads.h"

#include <gmock/gmock.h>

#include <atomic>

#include "base/testing.h"

namespace oriel {
namespace {

TEST(StartThreadsTest, EachHasItsNumber) {
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  StartThreads(
      threads, 2, 6, [&](int i) { sum += i; }, [] { FAIL(); });
  ASSERT_EQ(threads.size(), 4u);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 2 + 3 + 4 + 5);
}

// Stands for a system that refuses the third thread.
struct Refused {
  Refused(std::atomic<bool>& stop, int& copies) : stop(stop), copies(copies) {}
  Refused(const Refused& other) : stop(other.stop), copies(other.copies) {
    if (++copies == 3) {
      throw std::system_error(
          std::make_error_code(std::errc::resource_unavailable_try_again));
    }
  }
  Refused(Refused&& other) noexcept : stop(other.stop), copies(other.copies) {}
  void operator()(int) const {
    while (!stop) std::this_thread::yield();
  }

  std::atomic<bool>& stop;
  int& copies;
};

TEST(StartThreadsTest, EndsThoseThatRunWhereOneIsRefused) {
  std::atomic<bool> stop{false};
  int copies = 0;
  std::vector<std::thread> threads;
  const Refused work(stop, copies);
  try {
    StartThreads(threads, 0, 5, work, [&] { stop = true; });
    FAIL() << "nothing was refused";
  } catch (const std::system_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("cannot start 5 threads"));
  }
  EXPECT_TRUE(stop);
  EXPECT_TRUE(threads.empty());
}

}  // namespace
}  // namespace oriel
