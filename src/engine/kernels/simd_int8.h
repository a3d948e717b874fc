// Vectors of integers, beside those of floats in simd.h and under the same rules: four
// products of u8 and s8 to each sum of 32 bits, and bytes to and from floats.
#pragma once

#include "engine/kernels/simd.h"

namespace oriel::engine::kernels::ORIEL_ISA {

#if defined(__AVX512F__)

using IntVec = __m512i;  // kLanes sums, or four bytes for each of them

ORIEL_ALWAYS_INLINE IntVec LoadInts(const void* p) { return _mm512_loadu_si512(p); }
ORIEL_ALWAYS_INLINE IntVec SpreadInt(int x) { return _mm512_set1_epi32(x); }
ORIEL_ALWAYS_INLINE Vec ToFloats(IntVec v) { return _mm512_cvtepi32_ps(v); }
// To the nearest whole number, halves to even.
ORIEL_ALWAYS_INLINE IntVec ToInts(Vec v) { return _mm512_cvtps_epi32(v); }
ORIEL_ALWAYS_INLINE IntVec AddInts(IntVec a, IntVec b) { return _mm512_add_epi32(a, b); }

// Four weights for each lane.
using DotWeights = IntVec;
ORIEL_ALWAYS_INLINE DotWeights LoadWeights(const int8_t* p) { return LoadInts(p); }

#if defined(__AVX512VNNI__)
constexpr int kMaxActivation = 255;
// sum += the four products of each lane. In assembler: g++ 12 copies the sums around
// its intrinsic.
ORIEL_ALWAYS_INLINE void AddDot(IntVec& sum, IntVec u8, DotWeights s8) {
  asm volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u8), "v"(s8));
}
#else
// Two products of seven bits by eight fit into sixteen.
constexpr int kMaxActivation = 127;
ORIEL_ALWAYS_INLINE void AddDot(IntVec& sum, IntVec u8, DotWeights s8) {
  const IntVec pairs = _mm512_maddubs_epi16(u8, s8);
  sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}
#endif

// kLanes bytes as floats.
ORIEL_ALWAYS_INLINE Vec LoadBytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
// The first n < kLanes; no others are touched.
ORIEL_ALWAYS_INLINE Vec LoadFirstBytes(const uint8_t* p, int n) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(
      _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1), p)));
}
// Numbers of 0 to 255.
ORIEL_ALWAYS_INLINE void StoreBytes(uint8_t* p, IntVec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
}
ORIEL_ALWAYS_INLINE void StoreFirstBytes(uint8_t* p, IntVec v, int n) {
  _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1), v);
}

constexpr int kBytes = 64;  // of a vector
ORIEL_ALWAYS_INLINE IntVec MaxBytes(IntVec a, IntVec b) { return _mm512_max_epu8(a, b); }
ORIEL_ALWAYS_INLINE void StoreInts(void* p, IntVec v) { _mm512_storeu_si512(p, v); }

#else

using IntVec = __m256i;
constexpr int kMaxActivation = 127;

ORIEL_ALWAYS_INLINE IntVec LoadInts(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
ORIEL_ALWAYS_INLINE IntVec SpreadInt(int x) { return _mm256_set1_epi32(x); }
ORIEL_ALWAYS_INLINE Vec ToFloats(IntVec v) { return _mm256_cvtepi32_ps(v); }
// To the nearest whole number, halves to even.
ORIEL_ALWAYS_INLINE IntVec ToInts(Vec v) { return _mm256_cvtps_epi32(v); }
ORIEL_ALWAYS_INLINE IntVec AddInts(IntVec a, IntVec b) { return _mm256_add_epi32(a, b); }

// Four weights for each lane, read where they lie: as registers they would drive sums
// out of theirs.
using DotWeights = const __m256i_u*;
ORIEL_ALWAYS_INLINE DotWeights LoadWeights(const int8_t* p) {
  return reinterpret_cast<DotWeights>(p);
}

// sum += the four products of each lane: two products of seven bits by eight fit into
// sixteen.
ORIEL_ALWAYS_INLINE void AddDot(IntVec& sum, IntVec u8, DotWeights s8) {
  IntVec pairs;
  asm("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(u8), "m"(*s8));
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

ORIEL_ALWAYS_INLINE Vec FloatsOfBytes(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
ORIEL_ALWAYS_INLINE Vec LoadBytes(const uint8_t* p) {
  return FloatsOfBytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
ORIEL_ALWAYS_INLINE Vec LoadFirstBytes(const uint8_t* p, int n) {
  uint64_t bytes = 0;
  for (int i = 0; i < n; ++i) bytes |= uint64_t{p[i]} << 8 * i;
  return FloatsOfBytes(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
}
ORIEL_ALWAYS_INLINE __m128i BytesOfInts(IntVec v) {
  const __m128i shorts =
      _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  return _mm_packus_epi16(shorts, shorts);
}
// Numbers of 0 to 255.
ORIEL_ALWAYS_INLINE void StoreBytes(uint8_t* p, IntVec v) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), BytesOfInts(v));
}
ORIEL_ALWAYS_INLINE void StoreFirstBytes(uint8_t* p, IntVec v, int n) {
  auto bytes = static_cast<uint64_t>(_mm_cvtsi128_si64(BytesOfInts(v)));
  for (int i = 0; i < n; ++i, bytes >>= 8) p[i] = static_cast<uint8_t>(bytes);
}

constexpr int kBytes = 32;
ORIEL_ALWAYS_INLINE IntVec MaxBytes(IntVec a, IntVec b) { return _mm256_max_epu8(a, b); }
ORIEL_ALWAYS_INLINE void StoreInts(void* p, IntVec v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), v);
}

#endif

}  // namespace oriel::engine::kernels::ORIEL_ISA
