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
ORIEL_ALWAYS_INLINE void StoreFirstInts(uint8_t* p, IntVec v, int bytes) {
  _mm512_mask_storeu_epi8(p, (uint64_t{1} << bytes) - 1, v);
}
ORIEL_ALWAYS_INLINE IntVec SpreadShort(int x) {
  return _mm512_set1_epi16(static_cast<int16_t>(x));
}

// The next four work within each 16 bytes of a vector: the low or high half of each
// with the other's, byte by byte or short by short.
ORIEL_ALWAYS_INLINE IntVec MixLowBytes(IntVec a, IntVec b) {
  return _mm512_unpacklo_epi8(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixHighBytes(IntVec a, IntVec b) {
  return _mm512_unpackhi_epi8(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixLowShorts(IntVec a, IntVec b) {
  return _mm512_unpacklo_epi16(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixHighShorts(IntVec a, IntVec b) {
  return _mm512_unpackhi_epi16(a, b);
}
// max(low, q + zero_point) as bytes of a and b, 16 by 16: the shorts of each 16 bytes
// are four of a, four of b. Saturates.
ORIEL_ALWAYS_INLINE IntVec ToShorts(IntVec a, IntVec b, IntVec zero_point, IntVec low) {
  return _mm512_max_epi16(_mm512_adds_epi16(_mm512_packs_epi32(a, b), zero_point), low);
}
// Undoes the four above: shorts to bytes.
ORIEL_ALWAYS_INLINE IntVec PackShorts(IntVec a, IntVec b) {
  return _mm512_packus_epi16(a, b);
}
// ToShorts' result for the channels of a, then those of b.
ORIEL_ALWAYS_INLINE IntVec BytesInOrder(IntVec shorts) {
  const __m512i order =
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(shorts, shorts));
}
ORIEL_ALWAYS_INLINE void StoreShorts(uint8_t* p, IntVec shorts) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_castsi512_si256(BytesInOrder(shorts)));
}
// Those of a alone.
ORIEL_ALWAYS_INLINE void StoreHalfOfShorts(uint8_t* p, IntVec shorts) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm512_castsi512_si128(BytesInOrder(shorts)));
}
// Lane l of four lanes of v at p + 16 * l.
ORIEL_ALWAYS_INLINE void StoreQuarters(float* p, Vec v) {
  _mm_storeu_ps(p, _mm512_castps512_ps128(v));
  _mm_storeu_ps(p + 16, _mm512_extractf32x4_ps(v, 1));
  _mm_storeu_ps(p + 32, _mm512_extractf32x4_ps(v, 2));
  _mm_storeu_ps(p + 48, _mm512_extractf32x4_ps(v, 3));
}

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
ORIEL_ALWAYS_INLINE void StoreFirstInts(uint8_t* p, IntVec v, int bytes) {
  __m128i half = _mm256_castsi256_si128(v);
  if (bytes & 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), half);
    half = _mm256_extracti128_si256(v, 1);
    p += 16;
  }
  auto eight = static_cast<uint64_t>(_mm_cvtsi128_si64(half));
  if (bytes & 8) {
    __builtin_memcpy(p, &eight, 8);
    eight = static_cast<uint64_t>(_mm_extract_epi64(half, 1));
    p += 8;
  }
  for (int i = 0; i < (bytes & 7); ++i, eight >>= 8) p[i] = static_cast<uint8_t>(eight);
}
ORIEL_ALWAYS_INLINE IntVec SpreadShort(int x) {
  return _mm256_set1_epi16(static_cast<int16_t>(x));
}

// As those for AVX-512.
ORIEL_ALWAYS_INLINE IntVec MixLowBytes(IntVec a, IntVec b) {
  return _mm256_unpacklo_epi8(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixHighBytes(IntVec a, IntVec b) {
  return _mm256_unpackhi_epi8(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixLowShorts(IntVec a, IntVec b) {
  return _mm256_unpacklo_epi16(a, b);
}
ORIEL_ALWAYS_INLINE IntVec MixHighShorts(IntVec a, IntVec b) {
  return _mm256_unpackhi_epi16(a, b);
}
ORIEL_ALWAYS_INLINE IntVec ToShorts(IntVec a, IntVec b, IntVec zero_point, IntVec low) {
  return _mm256_max_epi16(_mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point), low);
}
ORIEL_ALWAYS_INLINE IntVec PackShorts(IntVec a, IntVec b) {
  return _mm256_packus_epi16(a, b);
}
ORIEL_ALWAYS_INLINE __m128i BytesInOrder(IntVec shorts) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0);
  return _mm256_castsi256_si128(
      _mm256_permutevar8x32_epi32(_mm256_packus_epi16(shorts, shorts), order));
}
ORIEL_ALWAYS_INLINE void StoreShorts(uint8_t* p, IntVec shorts) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), BytesInOrder(shorts));
}
ORIEL_ALWAYS_INLINE void StoreHalfOfShorts(uint8_t* p, IntVec shorts) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), BytesInOrder(shorts));
}
ORIEL_ALWAYS_INLINE void StoreQuarters(float* p, Vec v) {
  _mm_storeu_ps(p, _mm256_castps256_ps128(v));
  _mm_storeu_ps(p + 16, _mm256_extractf128_ps(v, 1));
}

#endif

}  // namespace oriel::engine::kernels::ORIEL_ISA
