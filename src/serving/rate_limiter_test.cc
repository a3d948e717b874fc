#include "serving/rate_limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace oriel::serving {
namespace {

using std::chrono::milliseconds;

const TimePoint kStart = TimePoint(std::chrono::hours(1));

TEST(RateLimiterTest, EachClientHasItsOwnBucket) {
  RateLimiter limiter({.per_second = 2, .burst = 3});
  for (const char* client : {"a", "b"}) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.Take(client, kStart), std::nullopt);
    EXPECT_EQ(limiter.Take(client, kStart), milliseconds(500));
    EXPECT_EQ(limiter.Take(client, kStart + milliseconds(400)), milliseconds(100));
    EXPECT_EQ(limiter.Take(client, kStart + milliseconds(500)), std::nullopt);
    EXPECT_NE(limiter.Take(client, kStart + milliseconds(500)), std::nullopt);
  }
  EXPECT_EQ(limiter.clients(), 2);
}

TEST(RateLimiterTest, AdmitsTheRateInTheLongRun) {
  RateLimiter limiter({.per_second = 10, .burst = 5});
  int admitted = 0;
  for (int ms = 0; ms < 10'000; ++ms) {
    admitted += !limiter.Take("a", kStart + milliseconds(ms)).has_value();
  }
  EXPECT_GE(admitted, 104);
  EXPECT_LE(admitted, 105);
  // A pause fills the bucket and no more.
  const TimePoint later = kStart + std::chrono::hours(5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limiter.Take("a", later), std::nullopt);
  EXPECT_NE(limiter.Take("a", later), std::nullopt);
}

TEST(RateLimiterTest, RemembersBoundedNumbersOfClients) {
  RateLimiter limiter({.per_second = 1, .burst = 1}, 100);
  EXPECT_EQ(limiter.Take("first", kStart), std::nullopt);
  for (int i = 0; i < 99; ++i) limiter.Take(std::to_string(i), kStart);
  EXPECT_NE(limiter.Take("first", kStart), std::nullopt);  // and is the last seen now
  for (int i = 99; i < 198; ++i) {
    EXPECT_EQ(limiter.Take(std::to_string(i), kStart), std::nullopt);
  }
  EXPECT_EQ(limiter.clients(), 100);
  EXPECT_NE(limiter.Take("first", kStart), std::nullopt);
  EXPECT_EQ(limiter.Take("0", kStart), std::nullopt);  // forgotten
}

TEST(RateLimiterTest, AClockThatStandsStillOrGoesBackGivesNothing) {
  RateLimiter limiter({.per_second = 1, .burst = 1});
  EXPECT_EQ(limiter.Take("a", kStart), std::nullopt);
  EXPECT_NE(limiter.Take("a", kStart - std::chrono::hours(1)), std::nullopt);
  EXPECT_NE(limiter.Take("a", kStart), std::nullopt);
}

}  // namespace
}  // namespace oriel::serving
