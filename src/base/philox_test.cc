#include "base/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace oriel {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers that Random123 publishes for philox4x32, 10 rounds (kat_vectors).
TEST(PhiloxTest, GivesThePublishedWords) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStreamTest, WalksThroughItsBlocks) {
  constexpr uint64_t kSeed = 0x1122334455667788;
  constexpr uint64_t kStream = 0x99aabbccddeeff00;
  RandomStream stream(kSeed, kStream);
  for (uint32_t block = 0; block < 3; ++block) {
    const Words want =
        Philox4x32({block, 0, 0xddeeff00, 0x99aabbcc}, {0x55667788, 0x11223344});
    for (const uint32_t word : want) EXPECT_EQ(stream.Word(), word);
  }
}

TEST(RandomStreamTest, NumbersAreInRangeAndEven) {
  RandomStream stream(1, 2);
  constexpr int kDraws = 100000;
  std::vector<int> counts(10);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    ++counts.at(stream.Below(10));
    const float u = stream.Uniform(-2, 2);
    ASSERT_GE(u, -2);
    ASSERT_LT(u, 2);
    sum += u;
    squares += u * u;
  }
  double chi_squared = 0;
  for (const int count : counts) {
    chi_squared += (count - kDraws / 10.0) * (count - kDraws / 10.0) / (kDraws / 10.0);
  }
  EXPECT_LT(chi_squared, 33.7);  // 9 degrees of freedom, p = 0.0001
  const double deviation = 4 / std::sqrt(12.0);
  EXPECT_LT(std::abs(sum / kDraws), 4 * deviation / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, deviation * deviation, 0.02);
}

TEST(RandomStreamTest, StreamsDiffer) {
  EXPECT_NE(RandomStream(1, 1).Word(), RandomStream(1, 2).Word());
  EXPECT_NE(RandomStream(1, 1).Word(), RandomStream(2, 1).Word());
  EXPECT_NE(RandomStream(1, 1).Word(), RandomStream(1, uint64_t{1} << 32 | 1).Word());
}

}  // namespace
}  // namespace oriel
