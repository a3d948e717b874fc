#include "engine/weight_store.h"

#include <algorithm>
#include <array>

#include "base/testing.h"

namespace oriel::engine {
namespace {

absl::Status Ask(WeightStore& store, const std::string& key, size_t size, uint8_t value) {
  const auto fill = [value](std::span<uint8_t> bytes) {
    std::fill(bytes.begin(), bytes.end(), value);
    return absl::OkStatus();
  };
  return store.GetOrCreate(key, size, fill).status();
}

std::vector<std::string> Keys(const WeightStore& store) {
  std::vector<std::string> keys;
  for (const WeightStore::Entry& entry : store.Entries()) keys.push_back(entry.key);
  return keys;
}

TEST(WeightStoreTest, KeepsTheOrderInWhichEntriesCame) {
  const std::array<uint8_t, 4> bytes = {7, 7, 7, 7};
  WeightStore store;
  for (const char* const key : {"z", "b", "m"}) store.Add(key, bytes, nullptr);
  ASSERT_OK(Ask(store, "a", 4, 1));
  ASSERT_OK(Ask(store, "m", 4, 2));
  ASSERT_OK(Ask(store, "z", 4, 3));
  EXPECT_EQ(Keys(store), (std::vector<std::string>{"z", "b", "m", "a"}));

  const std::vector<WeightStore::Entry> entries = store.Entries();
  const auto asked = [&](int i) { return entries[i].asked; };
  EXPECT_TRUE(asked(0) && asked(2) && asked(3));
  EXPECT_FALSE(asked(1));
  // What was there is not made again.
  EXPECT_EQ(entries[0].bytes.data(), bytes.data());
  EXPECT_EQ(entries[3].bytes[0], 1);
  EXPECT_EQ(store.counts().found, 2u);
  EXPECT_EQ(store.counts().made, 1u);
}

TEST(WeightStoreTest, MakesAnewWhatWasAddedWithAnotherSize) {
  const std::array<uint8_t, 4> bytes = {7, 7, 7, 7};
  WeightStore store;
  store.Add("a", bytes, nullptr);
  ASSERT_OK(Ask(store, "a", 8, 5));
  const std::vector<WeightStore::Entry> entries = store.Entries();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].bytes.size(), 8u);
  EXPECT_EQ(entries[0].bytes[7], 5);
  EXPECT_EQ(store.counts().found, 0u);
  EXPECT_EQ(store.counts().made, 1u);
}

}  // namespace
}  // namespace oriel::engine
