// Loops over pixels that the compiler turns into vector instructions, compiled twice:
// for the baseline of the architecture and for AVX2. Without fused multiply-add, so that
// both give the same bits.
#pragma once

// Functions with this attribute may run where HasAvx2(); loops that are to be compiled
// for both are always-inline functions (ORIEL_INLINE_LOOP) that both call.
#if defined(__x86_64__)
#define ORIEL_TARGET_AVX2 __attribute__((target("avx2")))
#else
#define ORIEL_TARGET_AVX2
#endif
#define ORIEL_INLINE_LOOP [[gnu::always_inline]] inline

namespace oriel::image {

// Thread-safe, cheap.
inline bool HasAvx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace oriel::image
