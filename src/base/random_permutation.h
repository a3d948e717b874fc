// A random order of many things, without memory for it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/philox.h"

namespace oriel {

// Each of 0 .. size - 1 once, in an order that depends on seed and stream alone: a
// Feistel network over the next even number of bits, walked until the number is in range
// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). Its random words
// are none of RandomStream's, which never gets as far. Thread-safe.
class RandomPermutation {
 public:
  // size: 1 to 2^63.
  RandomPermutation(uint64_t size, uint64_t seed, uint64_t stream)
      : size_(size),
        half_bits_(std::max(1, (static_cast<int>(std::bit_width(size - 1)) + 1) / 2)),
        key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        stream_(stream) {}

  // What stands at place i.
  uint64_t operator()(uint64_t i) const {
    do {
      i = Mixed(i);
    } while (i >= size_);
    return i;
  }

 private:
  uint64_t Mixed(uint64_t i) const {
    constexpr uint32_t kRounds = 8;
    const uint32_t mask = static_cast<uint32_t>((uint64_t{1} << half_bits_) - 1);
    uint32_t left = static_cast<uint32_t>(i >> half_bits_);
    uint32_t right = static_cast<uint32_t>(i) & mask;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const uint32_t word =
          Philox4x32({right, 0x80000000 | round, static_cast<uint32_t>(stream_),
                      static_cast<uint32_t>(stream_ >> 32)},
                     key_)[0];
      const uint32_t mixed = left ^ (word & mask);
      left = right;
      right = mixed;
    }
    return uint64_t{left} << half_bits_ | right;
  }

  uint64_t size_;
  int half_bits_;
  std::array<uint32_t, 2> key_;
  uint64_t stream_;
};

}  // namespace oriel
