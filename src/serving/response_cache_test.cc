#include "serving/response_cache.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>

namespace oriel::serving {
namespace {

ResponseCache::Key KeyOf(std::string_view scope, std::string_view input) {
  return ResponseCache::MakeKey(scope, AsBytes(input));
}

ResponseCache::Value Floats(size_t n, float value) {
  return std::make_shared<const std::vector<float>>(n, value);
}

TEST(ResponseCacheTest, KeysTellScopesAndInputsApart) {
  std::set<ResponseCache::Key> keys;
  for (const char* scope : {"", "a", "ab", "b"}) {
    for (const char* input : {"", "a", "b", "bb"}) keys.insert(KeyOf(scope, input));
  }
  EXPECT_EQ(keys.size(), 16);
  EXPECT_EQ(KeyOf("a", "b"), KeyOf("a", "b"));
}

TEST(ResponseCacheTest, FindsWhatWasInserted) {
  ResponseCache cache(1 << 20);
  EXPECT_EQ(cache.Find(KeyOf("m", "x")), nullptr);
  const auto value = Floats(1000, 0.5f);
  cache.Insert(KeyOf("m", "x"), value);
  EXPECT_EQ(cache.Find(KeyOf("m", "x")), value);
  cache.Insert(KeyOf("m", "x"), Floats(1000, 1));  // the first stays
  EXPECT_EQ(cache.Find(KeyOf("m", "x")), value);
  EXPECT_EQ(cache.Find(KeyOf("n", "x")), nullptr);
  const auto statistics = cache.statistics();
  EXPECT_EQ(statistics.hits, 2);
  EXPECT_EQ(statistics.misses, 2);
  EXPECT_EQ(statistics.entries, 1);
  EXPECT_EQ(statistics.evictions, 0);
}

TEST(ResponseCacheTest, BytesAreBoundedAndTheLeastUsedGoes) {
  ResponseCache cache(10 * (256 + 4000));
  const auto key = [](int i) { return KeyOf("m", std::to_string(i)); };
  for (int i = 0; i < 10; ++i) cache.Insert(key(i), Floats(1000, 0));
  EXPECT_EQ(cache.statistics().entries, 10);
  EXPECT_NE(cache.Find(key(0)), nullptr);
  cache.Insert(key(10), Floats(1000, 0));
  EXPECT_EQ(cache.Find(key(1)), nullptr);
  EXPECT_NE(cache.Find(key(0)), nullptr);
  EXPECT_EQ(cache.statistics().evictions, 1);
  cache.Insert(key(11), Floats(5000, 0));  // as large as five
  EXPECT_NE(cache.Find(key(11)), nullptr);
  EXPECT_LE(cache.statistics().bytes, 10 * (256 + 4000));
  EXPECT_EQ(cache.statistics().entries, 6);
  cache.Insert(key(12), Floats(20'000, 0));  // larger than all of it
  EXPECT_EQ(cache.Find(key(12)), nullptr);
  EXPECT_NE(cache.Find(key(11)), nullptr);
}

TEST(ResponseCacheTest, ManyThreads) {
  ResponseCache cache(50 * (256 + 40));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 2000; ++i) {
        const int n = (i * 7 + t) % 100;
        const auto key = KeyOf("m", std::to_string(n));
        if (const auto value = cache.Find(key)) {
          EXPECT_EQ((*value)[0], n);
        } else {
          cache.Insert(key, Floats(10, static_cast<float>(n)));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto statistics = cache.statistics();
  EXPECT_EQ(statistics.hits + statistics.misses, 8000);
  EXPECT_LE(statistics.entries, 50);
}

}  // namespace
}  // namespace oriel::serving
