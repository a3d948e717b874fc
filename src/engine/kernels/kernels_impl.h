// The loops of KernelTable for the instruction set that this file is compiled for.
// Included once, by kernels_avx2.cc and kernels_avx512.cc; see simd.h.
#pragma once

#include "engine/kernels/depthwise_impl.h"
#include "engine/kernels/kernel_table.h"
#include "engine/kernels/simd.h"
#include "engine/kernels/strip_impl.h"
#include "engine/kernels/winograd_matrices.h"

namespace oriel::engine::kernels::ORIEL_ISA {

// ROWS x VECTORS accumulators stay in registers over all of k; each step loads one
// row of the panel and spreads one float of each row of the image.
template <int ROWS, int VECTORS>
void Tile(const TileArgs& args) {
  constexpr int kWidth = VECTORS * kLanes;
  Vec sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) sum[i][j] = Load(args.bias + j * kLanes);
  }
  // What the result is added to or takes the place of is far away, and in pieces too
  // short for the hardware to foresee.
  const float* const* const far = args.residual != nullptr
                                      ? args.residual
                                      : const_cast<const float* const*>(args.dst);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(far[i] + args.channel), _MM_HINT_T0);
    if constexpr (kWidth * sizeof(float) > 64) {
      _mm_prefetch(reinterpret_cast<const char*>(far[i] + args.channel + kWidth - 1),
                   _MM_HINT_T0);
    }
  }
  const float* const* src = args.src;
  const char* prefetch = args.prefetch;
  for (int s = 0; s < args.num_segments; ++s, src += ROWS) {
    const float* weights = args.weights + int64_t{args.segments[s].first} * kWidth;
    const float* row[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) row[i] = src[i];
    const auto step = [&](int64_t k) ORIEL_ALWAYS_INLINE_LAMBDA {
      Vec w[VECTORS];
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) w[j] = Load(weights + j * kLanes);
      weights += kWidth;
#pragma GCC unroll 16
      for (int i = 0; i < ROWS; ++i) {
        const Vec x = Set1(row[i][k]);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) sum[i][j] = Fma(x, w[j], sum[i][j]);
      }
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
  const Vec low = Set1(args.low), high = Set1(args.high);
  if (args.channels == kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      float* dst = args.dst[i] + args.channel;
      if (args.residual != nullptr) {
        const float* residual = args.residual[i] + args.channel;
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
          sum[i][j] = Add(sum[i][j], Load(residual + j * kLanes));
        }
      }
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) {
        Store(dst + j * kLanes, Clamp(sum[i][j], low, high));
      }
    }
    return;
  }
  // The image's last channels do not fill the panel.
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    float* dst = args.dst[i] + args.channel;
    const float* residual =
        args.residual != nullptr ? args.residual[i] + args.channel : nullptr;
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
      const int left = args.channels - j * kLanes;
      if (left >= kLanes) {
        if (residual) sum[i][j] = Add(sum[i][j], Load(residual + j * kLanes));
        Store(dst + j * kLanes, Clamp(sum[i][j], low, high));
      } else if (left > 0) {
        if (residual) sum[i][j] = Add(sum[i][j], LoadFirst(residual + j * kLanes, left));
        StoreFirst(dst + j * kLanes, Clamp(sum[i][j], low, high), left);
      }
    }
  }
}

template <bool MAX>
void Pool(const PoolArgs& args) {
  const Vec scale = Set1(1.0f / static_cast<float>(args.pixels));
  ForChannels(args.channels, [&](int c, auto load, auto store) {
    Vec value = load(args.src[0] + c);
    for (int i = 1; i < args.pixels; ++i) {
      const Vec x = load(args.src[i] + c);
      value = MAX ? Max(value, x) : Add(value, x);
    }
    store(args.dst + c, MAX ? value : Mul(value, scale));
  });
}

// Winograd's transforms of one row, W being its constexpr WinogradMatrices.
template <const auto& W>
struct Rows {
  static constexpr int kPoints = W.kPoints;
  static constexpr int kOutputs = sizeof(W.output) / sizeof(W.output[0]);

  // t = B^T d
  static ORIEL_ALWAYS_INLINE void Input(const Vec (&d)[kPoints], Vec (&t)[kPoints]) {
    t[0] = Sum<0, 0, 2>(d);
    t[kPoints - 1] = Sum<kPoints - 1, 1, 2>(d);
    Pairs<1>(d, t);
  }

  // y = A^T t
  static ORIEL_ALWAYS_INLINE void Output(const Vec (&t)[kPoints], Vec (&y)[kOutputs]) {
    Vec even[W.kPairs], odd[W.kPairs];
#pragma GCC unroll 8
    for (int p = 0; p < W.kPairs; ++p) {
      even[p] = Add(t[1 + 2 * p], t[2 + 2 * p]);
      odd[p] = Sub(t[1 + 2 * p], t[2 + 2 * p]);
    }
#pragma GCC unroll 8
    for (int m = 0; m < kOutputs; ++m) {
      const Vec* half = m % 2 == 0 ? even : odd;
      Vec sum = m == 0 ? t[0] : m == kOutputs - 1 ? t[kPoints - 1] : Zero();
#pragma GCC unroll 8
      for (int p = 0; p < W.kPairs; ++p) {
        sum = Fma(Set1(static_cast<float>(W.output[m][1 + 2 * p])), half[p], sum);
      }
      y[m] = sum;
    }
  }

 private:
  // The sum over every STEPth element of row ROW, from FROM on.
  template <int ROW, int FROM, int STEP>
  static ORIEL_ALWAYS_INLINE Vec Sum(const Vec (&d)[kPoints]) {
    Vec sum = Zero();
#pragma GCC unroll 16
    for (int j = FROM; j < kPoints; j += STEP) {
      if (W.input[ROW][j] != 0) {
        sum = Fma(Set1(static_cast<float>(W.input[ROW][j])), d[j], sum);
      }
    }
    return sum;
  }

  template <int ROW>
  static ORIEL_ALWAYS_INLINE void Pairs(const Vec (&d)[kPoints], Vec (&t)[kPoints]) {
    if constexpr (ROW + 1 < kPoints - 1) {
      const Vec even = Sum<ROW, 0, 2>(d), odd = Sum<ROW, 1, 2>(d);
      t[ROW] = Add(even, odd);
      t[ROW + 1] = Sub(even, odd);
      Pairs<ROW + 2>(d, t);
    }
  }
};

template <const auto& W>
void WinogradInputRow(const WinogradInputArgs& args) {
  constexpr int kPoints = W.kPoints;
  ForChannels(args.channels, [&](int c, auto load, auto store) {
    Vec d[kPoints], t[kPoints];
#pragma GCC unroll 16
    for (int i = 0; i < kPoints; ++i) d[i] = load(args.src[i] + c);
    Rows<W>::Input(d, t);
#pragma GCC unroll 16
    for (int i = 0; i < kPoints; ++i) store(args.domain + i * args.stride + c, t[i]);
  });
}

template <const auto& W>
void WinogradOutputRow(const WinogradOutputArgs& args) {
  constexpr int kPoints = W.kPoints;
  constexpr int kOutputs = Rows<W>::kOutputs;
  const Vec low = Set1(args.low), high = Set1(args.high);
  ForChannels(args.channels, [&](int c, auto load, auto store) {
    Vec t[kPoints], y[kOutputs];
#pragma GCC unroll 16
    for (int i = 0; i < kPoints; ++i) t[i] = load(args.domain + i * args.stride + c);
    Rows<W>::Output(t, y);
    const Vec bias = load(args.bias + c);
#pragma GCC unroll 8
    for (int i = 0; i < kOutputs; ++i) {
      if (args.dst[i] == nullptr) continue;
      Vec v = Add(y[i], bias);
      if (args.residual != nullptr) v = Add(v, load(args.residual[i] + c));
      store(args.dst[i] + c, Clamp(v, low, high));
    }
  });
}

// In two dimensions: the rows of the tile, then its columns.
template <const auto& W>
void WinogradInputSquare(const WinogradInputArgs& args) {
  constexpr int kPoints = W.kPoints;
  ForChannels(args.channels, [&](int c, auto load, auto store) {
    Vec half[kPoints][kPoints];  // [column][row]
    for (int row = 0; row < kPoints; ++row) {
      Vec d[kPoints], t[kPoints];
#pragma GCC unroll 16
      for (int i = 0; i < kPoints; ++i) d[i] = load(args.src[row * kPoints + i] + c);
      Rows<W>::Input(d, t);
#pragma GCC unroll 16
      for (int i = 0; i < kPoints; ++i) half[i][row] = t[i];
    }
    for (int column = 0; column < kPoints; ++column) {
      Vec t[kPoints];
      Rows<W>::Input(half[column], t);
      float* domain = args.domain + column * args.stride + c;
#pragma GCC unroll 16
      for (int i = 0; i < kPoints; ++i) store(domain + i * kPoints * args.stride, t[i]);
    }
  });
}

template <const auto& W>
void WinogradOutputSquare(const WinogradOutputArgs& args) {
  constexpr int kPoints = W.kPoints;
  constexpr int kOutputs = Rows<W>::kOutputs;
  const Vec low = Set1(args.low), high = Set1(args.high);
  ForChannels(args.channels, [&](int c, auto load, auto store) {
    Vec half[kOutputs][kPoints];  // [column][row]
    for (int row = 0; row < kPoints; ++row) {
      const float* domain = args.domain + row * kPoints * args.stride + c;
      Vec t[kPoints], y[kOutputs];
#pragma GCC unroll 16
      for (int i = 0; i < kPoints; ++i) t[i] = load(domain + i * args.stride);
      Rows<W>::Output(t, y);
#pragma GCC unroll 8
      for (int i = 0; i < kOutputs; ++i) half[i][row] = y[i];
    }
    const Vec bias = load(args.bias + c);
    for (int column = 0; column < kOutputs; ++column) {
      Vec y[kOutputs];
      Rows<W>::Output(half[column], y);
#pragma GCC unroll 8
      for (int i = 0; i < kOutputs; ++i) {
        const int pixel = i * kOutputs + column;
        if (args.dst[pixel] == nullptr) continue;
        Vec v = Add(y[i], bias);
        if (args.residual != nullptr) v = Add(v, load(args.residual[pixel] + c));
        store(args.dst[pixel] + c, Clamp(v, low, high));
      }
    }
  });
}

template <int VECTORS, int ROWS>
constexpr void AddTiles(KernelTable& table) {
  if constexpr (ROWS > 0) {
    table.tile[VECTORS][ROWS] = Tile<ROWS, VECTORS>;
    AddTiles<VECTORS, ROWS - 1>(table);
  }
}

template <int VECTORS>
constexpr void AddPanel(KernelTable& table) {
  // The accumulators, a row of weights and one more fit into the registers, and row
  // pointers into those of integers.
  constexpr int kFit = (kRegisters - 1 - VECTORS) / VECTORS;
  constexpr int kMost = kRegisters == 16 ? 8 : kMaxTileRows;
  constexpr int kRows = kFit < kMost ? kFit : kMost;
  table.max_rows[VECTORS] = kRows;
  AddTiles<VECTORS, kRows>(table);
}

template <const auto& W>
constexpr void AddWinogradRow(KernelTable& table, WinogradKind kind) {
  table.winograd_input[static_cast<int>(kind)] = WinogradInputRow<W>;
  table.winograd_output[static_cast<int>(kind)] = WinogradOutputRow<W>;
}

constexpr KernelTable MakeTable(const char* name, double fma_per_cycle) {
  KernelTable table;
  table.name = name;
  table.lanes = kLanes;
  table.fma_per_cycle = fma_per_cycle;
  table.best_vectors = kRegisters == 32 ? 4 : 2;
  AddPanel<1>(table);
  AddPanel<2>(table);
  AddPanel<3>(table);
  if constexpr (kRegisters == 32) AddPanel<4>(table);
  AddStrips(table);
  AddDepthwise(table);
  table.max_pool = Pool<true>;
  table.mean_pool = Pool<false>;
  constexpr int kSquare = static_cast<int>(WinogradKind::kF4x4_3x3);
  table.winograd_input[kSquare] = WinogradInputSquare<kWinogradF4_3>;
  table.winograd_output[kSquare] = WinogradOutputSquare<kWinogradF4_3>;
  AddWinogradRow<kWinogradF4_3>(table, WinogradKind::kF4_3);
  AddWinogradRow<kWinogradF4_7>(table, WinogradKind::kF4_7);
  AddWinogradRow<kWinogradF6_7>(table, WinogradKind::kF6_7);
  return table;
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
