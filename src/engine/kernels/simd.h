// One vector type and what the kernels do with it, for the instruction set that the
// file is compiled for. Only files that are compiled for one instruction set include
// it (kernels_avx2.cc, ...): everything here lies in a namespace of that set, and
// such files use no inline function of other headers, so that the linker cannot pick
// code of a newer instruction set for the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstdint>

#if defined(__AVX512VNNI__)
#define ORIEL_ISA avx512_vnni
#elif defined(__AVX512F__)
#define ORIEL_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define ORIEL_ISA avx2
#else
#error "compile this file for AVX2 and FMA, or for AVX-512"
#endif

#define ORIEL_ALWAYS_INLINE inline __attribute__((always_inline))
#define ORIEL_ALWAYS_INLINE_LAMBDA __attribute__((always_inline))

namespace oriel::engine::kernels::ORIEL_ISA {

#if defined(__AVX512F__)

using Vec = __m512;
constexpr int kLanes = 16;
constexpr int kRegisters = 32;

ORIEL_ALWAYS_INLINE Vec Zero() { return _mm512_setzero_ps(); }
ORIEL_ALWAYS_INLINE Vec Set1(float x) { return _mm512_set1_ps(x); }
ORIEL_ALWAYS_INLINE Vec Load(const float* p) { return _mm512_loadu_ps(p); }
ORIEL_ALWAYS_INLINE void Store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
// The first n < kLanes lanes; no others are touched.
ORIEL_ALWAYS_INLINE Vec LoadFirst(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
ORIEL_ALWAYS_INLINE void StoreFirst(float* p, Vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
ORIEL_ALWAYS_INLINE Vec Add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
// a * b + c
ORIEL_ALWAYS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
// c - a * b
ORIEL_ALWAYS_INLINE Vec Fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }
// b where either is NaN.
ORIEL_ALWAYS_INLINE Vec Max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Min(Vec a, Vec b) { return _mm512_min_ps(a, b); }

#else

using Vec = __m256;
constexpr int kLanes = 8;
constexpr int kRegisters = 16;

ORIEL_ALWAYS_INLINE Vec Zero() { return _mm256_setzero_ps(); }
ORIEL_ALWAYS_INLINE Vec Set1(float x) { return _mm256_set1_ps(x); }
ORIEL_ALWAYS_INLINE Vec Load(const float* p) { return _mm256_loadu_ps(p); }
ORIEL_ALWAYS_INLINE void Store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
ORIEL_ALWAYS_INLINE __m256i FirstLanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
// The first n < kLanes lanes; no others are touched.
ORIEL_ALWAYS_INLINE Vec LoadFirst(const float* p, int n) {
  return _mm256_maskload_ps(p, FirstLanes(n));
}
ORIEL_ALWAYS_INLINE void StoreFirst(float* p, Vec v, int n) {
  _mm256_maskstore_ps(p, FirstLanes(n), v);
}
ORIEL_ALWAYS_INLINE Vec Add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
// a * b + c
ORIEL_ALWAYS_INLINE Vec Fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
// c - a * b
ORIEL_ALWAYS_INLINE Vec Fnma(Vec a, Vec b, Vec c) { return _mm256_fnmadd_ps(a, b, c); }
// b where either is NaN.
ORIEL_ALWAYS_INLINE Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
ORIEL_ALWAYS_INLINE Vec Min(Vec a, Vec b) { return _mm256_min_ps(a, b); }

#endif

// max(low, x) and min(high, x) give x where x is NaN.
ORIEL_ALWAYS_INLINE Vec Clamp(Vec x, Vec low, Vec high) { return Min(high, Max(low, x)); }

// Calls body(c, load, store) for each vector of channels: all lanes, then the rest.
template <typename Body>
ORIEL_ALWAYS_INLINE void ForChannels(int channels, const Body& body) {
  int c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    body(
        c, [](const float* p) { return Load(p); }, [](float* p, Vec v) { Store(p, v); });
  }
  const int left = channels - c;
  if (left > 0) {
    body(
        c, [left](const float* p) { return LoadFirst(p, left); },
        [left](float* p, Vec v) { StoreFirst(p, v, left); });
  }
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
