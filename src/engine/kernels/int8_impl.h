// The loops of Int8Table for the instruction set that this file is compiled for.
// Included once by each of int8_avx2.cc, ...; see simd.h.
#pragma once

#include "engine/kernels/int8_table.h"
#include "engine/kernels/simd_int8.h"

namespace oriel::engine::kernels::ORIEL_ISA {

// An Int8Output's numbers in vectors.
struct Finish {
  explicit Finish(const Int8Output& output)
      : low(Set1(output.low)),
        high(Set1(output.high)),
        inverse_scale(Set1(output.requantize.inverse_scale)),
        least(Set1(output.requantize.low)),
        most(Set1(output.requantize.high)),
        zero_point(SpreadInt(output.requantize.zero_point)) {}

  // max(low, x) and min(high, x) give x where x is NaN.
  ORIEL_ALWAYS_INLINE Vec Clamp(Vec x) const { return Min(high, Max(low, x)); }
  // Both ends are whole numbers: clipping first gives the same.
  ORIEL_ALWAYS_INLINE IntVec Quantize(Vec x) const {
    const Vec clipped = Min(Max(Mul(x, inverse_scale), least), most);
    return AddInts(ToInts(clipped), zero_point);
  }

  Vec low, high, inverse_scale, least, most;
  IntVec zero_point;
};

// The same where nothing but bytes is wanted. Clamping after the step to quantized
// numbers gives the same numbers (all of it is monotonic), and most of it is left to
// instructions that saturate. NaN, which no sum of integers is, becomes the least.
struct FinishBytes {
  explicit FinishBytes(const Int8Output& output) {
    const Requantize& to = output.requantize;
    inverse_scale = Set1(to.inverse_scale);
    // Of NaN and infinities, too: low may be -infinity.
    const float least = output.low * to.inverse_scale;
    const float most = output.high * to.inverse_scale;
    high = Set1(most < to.high ? most : to.high);
    const float clipped = least > to.low ? least < to.high ? least : to.high : to.low;
    low = SpreadShort(_mm_cvtss_si32(_mm_set_ss(clipped)) + to.zero_point);
    zero_point = SpreadShort(to.zero_point);
  }

  static bool Serves(const Int8Output& output) {
    return output.floats == nullptr && output.residual == nullptr;
  }
  ORIEL_ALWAYS_INLINE IntVec Quantize(Vec x) const {
    return ToInts(Min(high, Mul(x, inverse_scale)));
  }
  // Of two vectors.
  ORIEL_ALWAYS_INLINE IntVec Shorts(Vec a, Vec b) const {
    return ToShorts(Quantize(a), Quantize(b), zero_point, low);
  }

  Vec high, inverse_scale;
  IntVec low, zero_point;
};

// Calls body(c, count, part) for each vector of channels, part being a constant that
// says whether count < kLanes.
template <bool PART>
struct Part {
  static constexpr bool value = PART;
};
template <typename Body>
ORIEL_ALWAYS_INLINE void ForParts(int64_t count, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) body(c, kLanes, Part<false>());
  if (c < count) body(c, static_cast<int>(count - c), Part<true>());
}

template <bool PART>
ORIEL_ALWAYS_INLINE Vec LoadPart(const float* p, int count) {
  return PART ? LoadFirst(p, count) : Load(p);
}

// real(c) for each vector of `channels` of a pixel to where it belongs.
template <bool FLOATS, bool BYTES, bool RESIDUAL, typename Real>
ORIEL_ALWAYS_INLINE void PutPixel(const Int8Output& output, const Finish& finish,
                                  int64_t pixel, int64_t channel, int64_t channels,
                                  const Real& real) {
  const float* const residual =
      RESIDUAL ? output.residual + pixel * output.residual_pitch + channel : nullptr;
  float* const floats =
      FLOATS ? output.floats + pixel * output.floats_pitch + channel : nullptr;
  uint8_t* const bytes =
      BYTES ? output.bytes + pixel * output.bytes_pitch + channel : nullptr;
  ForParts(channels, [&](int64_t c, int count, auto part) ORIEL_ALWAYS_INLINE_LAMBDA {
    constexpr bool kPart = decltype(part)::value;
    Vec v = real(c);
    if constexpr (RESIDUAL) v = Add(v, LoadPart<kPart>(residual + c, count));
    v = finish.Clamp(v);
    if constexpr (FLOATS) {
      kPart ? StoreFirst(floats + c, v, count) : Store(floats + c, v);
    }
    if constexpr (BYTES) {
      const IntVec q = finish.Quantize(v);
      kPart ? StoreFirstBytes(bytes + c, q, count) : StoreBytes(bytes + c, q);
    }
  });
}

// Calls work(floats, bytes, residual) with constants that say what of them there is.
template <typename Work>
ORIEL_ALWAYS_INLINE void ForKind(const Int8Output& output, const Work& work) {
  const bool residual = output.residual != nullptr;
  const Part<true> yes;
  const Part<false> no;
  if (output.floats == nullptr) {
    residual ? work(no, yes, yes) : work(no, yes, no);
  } else if (output.bytes == nullptr) {
    residual ? work(yes, no, yes) : work(yes, no, no);
  } else {
    residual ? work(yes, yes, yes) : work(yes, yes, no);
  }
}

// The sums [rows][width] of a tile to where they belong, in all cases: Int8Tile itself
// has the most frequent one.
inline void FinishTile(const Int8TileArgs& tile, const int32_t* sums, int rows,
                       int64_t width) {
  const Int8TileArgs args = tile;  // which no store changes
  const auto real = [&](int64_t c) ORIEL_ALWAYS_INLINE_LAMBDA {
    return Add(Mul(ToFloats(LoadInts(sums + c)), Load(args.scale + c)),
               Load(args.bias + c));
  };
  const Finish finish(args.output);
  ForKind(args.output, [&](auto floats, auto bytes, auto residual) {
    for (int i = 0; i < rows; ++i, sums += width) {
      PutPixel<decltype(floats)::value, decltype(bytes)::value,
               decltype(residual)::value>(args.output, finish, args.pixels[i],
                                          args.channel, args.channels, real);
    }
  });
}

// ROWS x VECTORS sums stay in registers over all of k; each step spreads four bytes of
// each row of the image.
template <int ROWS, int VECTORS>
void Int8Tile(const Int8TileArgs& args) {
  constexpr int kWidth = VECTORS * kLanes;
  IntVec sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) sum[i][j] = LoadInts(args.start + j * kLanes);
  }
  const uint8_t* const* src = args.src;
  const char* prefetch = args.prefetch;
  for (int s = 0; s < args.num_segments; ++s, src += ROWS) {
    const int8_t* weights = args.weights + int64_t{args.segments[s].first} * 4 * kWidth;
    const uint8_t* row[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) row[i] = src[i];
    const auto step = [&](int64_t k) ORIEL_ALWAYS_INLINE_LAMBDA {
      DotWeights w[VECTORS];
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) w[j] = LoadWeights(weights + 4 * j * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < ROWS; ++i) {
        int four;
        __builtin_memcpy(&four, row[i] + 4 * k, 4);
        const IntVec x = SpreadInt(four);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) AddDot(sum[i][j], x, w[j]);
      }
      weights += 4 * kWidth;
    };
    const int64_t count = args.segments[s].count;
    int64_t k = 0;
    for (; k + kPrefetchSteps <= count; k += kPrefetchSteps) {
      _mm_prefetch(prefetch, _MM_HINT_T1);
      prefetch += args.prefetch_stride;
#pragma GCC unroll 1
      for (int64_t i = 0; i < kPrefetchSteps; ++i) step(k + i);
    }
#pragma GCC unroll 1
    for (; k < count; ++k) step(k);
  }
  if (FinishBytes::Serves(args.output) && args.channels % kLanes == 0) {
    const FinishBytes finish(args.output);
    const float* const scale = args.scale;
    const float* const bias = args.bias;
    const int vectors = args.channels / kLanes;
    const auto real = [&](int i, int j) ORIEL_ALWAYS_INLINE_LAMBDA {
      return Add(Mul(ToFloats(sum[i][j]), Load(scale + j * kLanes)),
                 Load(bias + j * kLanes));
    };
    uint8_t* const first = args.output.bytes + args.channel;
    const int64_t pitch = args.output.bytes_pitch;
    const int64_t* const pixels = args.pixels;
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      uint8_t* const bytes = first + pixels[i] * pitch;
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; j += 2) {
        if (j + 1 < VECTORS && j + 1 < vectors) {
          StoreShorts(bytes + j * kLanes, finish.Shorts(real(i, j), real(i, j + 1)));
        } else if (j < vectors) {
          const Vec v = real(i, j);
          StoreHalfOfShorts(bytes + j * kLanes, finish.Shorts(v, v));
        }
      }
    }
    return;
  }
  alignas(64) int32_t sums[ROWS * kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
      StoreInts(sums + i * kWidth + j * kLanes, sum[i][j]);
    }
  }
  FinishTile(args, sums, ROWS, kWidth);
}

// A group of real numbers to where they belong, `first` being the group's channel.
inline void PutGroup(const Int8DepthwiseArgs& args, const Finish& finish,
                     const Vec (&real)[4], int64_t pixel, int64_t first) {
  float natural[kBytes];
  for (int v = 0; v < 4; ++v) StoreQuarters(natural + 4 * v, real[v]);
  const int64_t left = args.channels - first;
  ForKind(args.output, [&](auto floats, auto bytes, auto residual) {
    PutPixel<decltype(floats)::value, decltype(bytes)::value, decltype(residual)::value>(
        args.output, finish, pixel, first, left < kBytes ? left : kBytes,
        [&](int64_t c) ORIEL_ALWAYS_INLINE_LAMBDA { return Load(natural + c); });
  });
}

inline void Int8Depthwise(const Int8DepthwiseArgs& args) {
  const Finish finish(args.output);
  const FinishBytes finish_bytes(args.output);
  const bool only_bytes = FinishBytes::Serves(args.output);
  for (int64_t first = 0; first < args.channels; first += kBytes) {
    for (int64_t i = 0; i < args.pixels; ++i) {
      const int64_t at = i * args.pixel_stride + first;
      const int8_t* weights = args.weights + first * 4 * args.fours;
      IntVec sum[4];
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v] = LoadInts(args.start + first + v * kLanes);
      const uint8_t* const* src = args.src;
#pragma GCC unroll 1
      for (int four = 0; four < args.fours; ++four, src += 4, weights += 4 * kBytes) {
        const IntVec a = LoadInts(src[0] + at), b = LoadInts(src[1] + at);
        const IntVec c = LoadInts(src[2] + at), d = LoadInts(src[3] + at);
        const IntVec ab_low = MixLowBytes(a, b), ab_high = MixHighBytes(a, b);
        const IntVec cd_low = MixLowBytes(c, d), cd_high = MixHighBytes(c, d);
        AddDot(sum[0], MixLowShorts(ab_low, cd_low), LoadWeights(weights));
        AddDot(sum[1], MixHighShorts(ab_low, cd_low), LoadWeights(weights + kBytes));
        AddDot(sum[2], MixLowShorts(ab_high, cd_high), LoadWeights(weights + 2 * kBytes));
        AddDot(sum[3], MixHighShorts(ab_high, cd_high),
               LoadWeights(weights + 3 * kBytes));
      }
      Vec real[4];
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        real[v] = Add(Mul(ToFloats(sum[v]), Load(args.scale + first + v * kLanes)),
                      Load(args.bias + first + v * kLanes));
      }
      if (!only_bytes) {
        PutGroup(args, finish, real, args.pixel + i, first);
        continue;
      }
      // Packing undoes the order.
      const IntVec bytes = PackShorts(finish_bytes.Shorts(real[0], real[1]),
                                      finish_bytes.Shorts(real[2], real[3]));
      uint8_t* dst =
          args.output.bytes + (args.pixel + i) * args.output.bytes_pitch + first;
      const int64_t left = args.channels - first;
      if (left >= kBytes) {
        StoreInts(dst, bytes);
      } else {
        StoreFirstInts(dst, bytes, static_cast<int>(left));
      }
    }
  }
}

inline void QuantizeFloats(const float* src, int64_t elements, const Requantize& to,
                           uint8_t* dst) {
  const Finish finish({.requantize = to});
  ForParts(elements, [&](int64_t i, int count, auto part) {
    constexpr bool kPart = decltype(part)::value;
    const IntVec q = finish.Quantize(LoadPart<kPart>(src + i, count));
    kPart ? StoreFirstBytes(dst + i, q, count) : StoreBytes(dst + i, q);
  });
}

inline void Int8MaxPool(const Int8PoolArgs& args) {
  int c = 0;
  for (; c + kBytes <= args.channels; c += kBytes) {
    IntVec most = LoadInts(args.src[0] + c);
    for (int i = 1; i < args.pixels; ++i)
      most = MaxBytes(most, LoadInts(args.src[i] + c));
    StoreInts(args.dst + c, most);
  }
  for (; c < args.channels; ++c) {
    uint8_t most = args.src[0][c];
    for (int i = 1; i < args.pixels; ++i) {
      most = args.src[i][c] > most ? args.src[i][c] : most;
    }
    args.dst[c] = most;
  }
}

template <int VECTORS, int ROWS>
constexpr void AddInt8Tiles(Int8Table& table) {
  if constexpr (ROWS > 0) {
    table.tile[VECTORS][ROWS] = Int8Tile<ROWS, VECTORS>;
    AddInt8Tiles<VECTORS, ROWS - 1>(table);
  }
}

template <int VECTORS>
constexpr void AddInt8Panel(Int8Table& table) {
  // Besides the sums: the four bytes, their products, ones.
  constexpr int kFit = (kRegisters - 3) / VECTORS;
  constexpr int kMost = kRegisters == 16 ? 8 : kMaxTileRows;
  constexpr int kRows = kFit < kMost ? kFit : kMost;
  table.max_rows[VECTORS] = kRows;
  AddInt8Tiles<VECTORS, kRows>(table);
}

constexpr Int8Table MakeInt8Table(const char* name) {
  Int8Table table;
  table.name = name;
  table.lanes = kLanes;
  table.fma_per_cycle = 1;
  table.max_activation = kMaxActivation;
  AddInt8Panel<1>(table);
  AddInt8Panel<2>(table);
  AddInt8Panel<3>(table);
  if constexpr (kRegisters == 32) AddInt8Panel<4>(table);
  table.depthwise = Int8Depthwise;
  table.quantize = QuantizeFloats;
  table.max_pool = Int8MaxPool;
  return table;
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
