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

// Lanes [0, kLanes) or, if PART, [0, count) of what lies at `at` in the output.
template <bool PART>
ORIEL_ALWAYS_INLINE void Put(const Int8Output& output, const Finish& finish, Vec real,
                             int64_t pixel, int64_t channel, int count) {
  if (output.residual != nullptr) {
    const float* residual = output.residual + pixel * output.residual_pitch + channel;
    real = Add(real, PART ? LoadFirst(residual, count) : Load(residual));
  }
  real = finish.Clamp(real);
  if (output.floats != nullptr) {
    float* floats = output.floats + pixel * output.floats_pitch + channel;
    PART ? StoreFirst(floats, real, count) : Store(floats, real);
  }
  if (output.bytes != nullptr) {
    uint8_t* bytes = output.bytes + pixel * output.bytes_pitch + channel;
    const IntVec q = finish.Quantize(real);
    PART ? StoreFirstBytes(bytes, q, count) : StoreBytes(bytes, q);
  }
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
  const Finish finish(args.output);
  const auto real = [&](int i, int j) ORIEL_ALWAYS_INLINE_LAMBDA {
    return Add(Mul(ToFloats(sum[i][j]), Load(args.scale + j * kLanes)),
               Load(args.bias + j * kLanes));
  };
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    const int64_t pixel = args.pixels[i];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
      const int left = args.channels - j * kLanes;
      const int64_t channel = args.channel + j * kLanes;
      if (left >= kLanes) {
        Put<false>(args.output, finish, real(i, j), pixel, channel, kLanes);
      } else if (left > 0) {
        Put<true>(args.output, finish, real(i, j), pixel, channel, left);
      }
    }
  }
}

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

template <int PIXELS>
void Int8Depthwise(const Int8DepthwiseArgs& args) {
  static_assert(PIXELS <= 6);
  const Finish finish(args.output);
  const int64_t step = args.pixel_stride;
  ForParts(args.channels, [&](int64_t c, int count, auto part) {
    constexpr bool kPart = decltype(part)::value;
    Vec sum[PIXELS];
#pragma GCC unroll 8
    for (int i = 0; i < PIXELS; ++i) sum[i] = Zero();
    for (int row = 0; row < args.num_rows; ++row) {
      const float* near = args.rows[row] + c;
      const float* far = near + 3 * step;
      const float* weights = args.weights + args.first_taps[row] * args.weights_pitch + c;
#pragma GCC unroll 1
      for (int column = 0; column < args.columns; ++column) {
        const Vec w = LoadPart<kPart>(weights, count);
#pragma GCC unroll 8
        for (int i = 0; i < PIXELS; ++i) {
          const float* pixel = i < 3 ? near + i * step : far + (i - 3) * step;
          sum[i] = Fma(LoadPart<kPart>(pixel, count), w, sum[i]);
        }
        near += args.column_stride;
        far += args.column_stride;
        weights += args.weights_pitch;
      }
    }
    const Vec scale = LoadPart<kPart>(args.scale + c, count);
    const Vec bias = LoadPart<kPart>(args.bias + c, count);
#pragma GCC unroll 8
    for (int i = 0; i < PIXELS; ++i) {
      Put<kPart>(args.output, finish, Add(Mul(sum[i], scale), bias), args.pixel + i,
                 args.channel + c, count);
    }
  });
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

inline void CenterLine(const uint8_t* src, int64_t pitch, int64_t pixels, int channels,
                       float zero_point, float* dst) {
  const Vec zero = Set1(zero_point);
  for (int64_t i = 0; i < pixels; ++i, src += pitch, dst += channels) {
    ForParts(channels, [&](int64_t c, int count, auto part) {
      constexpr bool kPart = decltype(part)::value;
      const Vec q = kPart ? LoadFirstBytes(src + c, count) : LoadBytes(src + c);
      const Vec centered = Sub(q, zero);
      kPart ? StoreFirst(dst + c, centered, count) : Store(dst + c, centered);
    });
  }
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

template <int PIXELS>
constexpr void AddInt8Depthwise(Int8Table& table) {
  if constexpr (PIXELS > 0) {
    table.depthwise[PIXELS] = Int8Depthwise<PIXELS>;
    AddInt8Depthwise<PIXELS - 1>(table);
  }
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
  AddInt8Depthwise<kDepthwisePixels>(table);
  table.quantize = QuantizeFloats;
  table.center_line = CenterLine;
  table.max_pool = Int8MaxPool;
  return table;
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
