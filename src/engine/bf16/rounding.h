// Float32 numbers as bfloat16 holds them: eight bits of precision instead of 24, the
// range of float32.
#pragma once

#include <bit>
#include <cstdint>

namespace oriel::engine {

// The nearest number that bfloat16 has, of two the one with an even last bit (IEEE 754
// roundTiesToEven; so what lies from halfway above the largest one becomes infinite).
// NaN stays NaN and becomes quiet; denormal numbers are rounded like others. Without a
// branch, so that compilers turn a loop of it into vectors on every CPU.
inline float RoundToBf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  constexpr uint32_t kExponent = 0x7f800000, kQuiet = 0x00400000, kKept = 0xffff0000;
  const bool nan = static_cast<int32_t>(bits & 0x7fffffff) > int32_t{kExponent};
  const uint32_t nearest = bits + 0x7fff + ((bits >> 16) & 1);
  return std::bit_cast<float>((nan ? bits | kQuiet : nearest) & kKept);
}

}  // namespace oriel::engine
