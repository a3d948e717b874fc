#include "base/random_permutation.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace oriel {
namespace {

std::vector<uint64_t> Order(uint64_t size, uint64_t seed, uint64_t stream) {
  const RandomPermutation permutation(size, seed, stream);
  std::vector<uint64_t> order;
  for (uint64_t i = 0; i < size; ++i) order.push_back(permutation(i));
  return order;
}

TEST(RandomPermutationTest, HasEachOnce) {
  for (uint64_t size = 1; size < 300; ++size) {
    const auto order = Order(size, 1, size);
    const std::set<uint64_t> seen(order.begin(), order.end());
    EXPECT_EQ(seen.size(), size);
    EXPECT_EQ(*seen.rbegin(), size - 1);
  }
  const RandomPermutation huge(uint64_t{1} << 62, 1, 1);
  EXPECT_NE(huge(0), huge(1));
}

TEST(RandomPermutationTest, DependsOnSeedAndStream) {
  EXPECT_EQ(Order(100, 1, 2), Order(100, 1, 2));
  EXPECT_NE(Order(100, 1, 2), Order(100, 2, 2));
  EXPECT_NE(Order(100, 1, 2), Order(100, 1, 3));
}

// All orders of few things, and all places of one among many, come equally often.
TEST(RandomPermutationTest, IsEven) {
  constexpr int kDraws = 24000;
  std::map<std::vector<uint64_t>, int> orders;
  std::vector<int> places(24);
  for (int i = 0; i < kDraws; ++i) {
    ++orders[Order(4, 5, i)];
    ++places.at(RandomPermutation(24, 6, i)(7));
  }
  EXPECT_EQ(orders.size(), 24);
  double of_orders = 0;
  double of_places = 0;
  for (const auto& [order, count] : orders) of_orders += (count - 1000) * (count - 1000);
  for (const int count : places) of_places += (count - 1000) * (count - 1000);
  // Chi-squared of 23 degrees of freedom, p = 0.00001.
  EXPECT_LT(of_orders / 1000, 66);
  EXPECT_LT(of_places / 1000, 66);
}

}  // namespace
}  // namespace oriel
