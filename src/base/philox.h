// Random numbers that depend on a key and a position alone, so that many threads draw
// the same ones whatever the order of their work.
//
// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
// 1, 2, 3" (2011): ten rounds over a counter of 128 bits with a key of 64.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace oriel {

// The four words that Philox4x32-10 makes of a counter and a key.
constexpr std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
        static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// One sequence of random numbers: stream number `stream` of `seed`. Streams do not
// overlap, and each is 2^66 words long. The words, and what is made of them, are those
// of TensorFlow's SimplePhilox over PhiloxRandom(seed, stream): an op with the
// attributes seed and seed2 draws the same. One thread at a time.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t stream)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        stream_(stream) {}

  // 32 random bits.
  uint32_t Word() {
    if (used_ == 4) {
      words_ = Philox4x32(
          {static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32),
           static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
          key_);
      ++block_;
      used_ = 0;
    }
    return words_[used_++];
  }

  // One of 0 .. n - 1; n is positive. Even to n / 2^32.
  uint32_t Below(uint32_t n) { return Word() % n; }

  // One of the 2^23 evenly spaced numbers of [0, 1) that a word's lower bits name.
  float Unit() { return std::bit_cast<float>(0x3f800000 | (Word() & 0x7fffff)) - 1.0f; }

  // In [low, high), by float32 arithmetic as tf.random.uniform has it.
  float Uniform(float low, float high) { return Unit() * (high - low) + low; }

 private:
  std::array<uint32_t, 2> key_;
  uint64_t stream_;
  uint64_t block_ = 0;
  std::array<uint32_t, 4> words_ = {};
  int used_ = 4;
};

}  // namespace oriel
