// Matrix products of pixels at even distances for the instruction set that this file is
// compiled for; see kernels_impl.h.
#pragma once

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/simd.h"

namespace oriel::engine::kernels::ORIEL_ISA {

// The most rows whose accumulators, a row of weights and one more fit the registers.
template <int VECTORS>
constexpr int kStripRows = (kRegisters - 1 - VECTORS) / VECTORS < 8
                               ? (kRegisters - 1 - VECTORS) / VECTORS
                               : 8;

// ROWS pixels from pixel `first` on. A panel that the channels do not fill is stored by
// parts if not FULL.
template <int ROWS, int VECTORS, bool FULL>
void StripPiece(const StripArgs& args, int64_t first) {
  constexpr int kWidth = VECTORS * kLanes;
  Vec sum[ROWS][VECTORS];
#pragma GCC unroll 4
  for (int j = 0; j < VECTORS; ++j) {
    sum[0][j] = Load(args.bias + j * kLanes);
#pragma GCC unroll 16
    for (int i = 1; i < ROWS; ++i) sum[i][j] = sum[0][j];
  }
  const int64_t stride = args.pixel_stride;
  const float* weights = args.weights;
  const int64_t count = args.count;
  const int num_segments = args.num_segments;
  for (int s = 0; s < num_segments; ++s) {
    const float* src = args.src[s] + first * stride;
#pragma GCC unroll 2
    for (int64_t k = 0; k < count; ++k, ++src, weights += kWidth) {
      Vec w[VECTORS];
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) w[j] = Load(weights + j * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < ROWS; ++i) {
        const Vec x = Set1(src[i * stride]);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) sum[i][j] = Fma(x, w[j], sum[i][j]);
      }
    }
  }
  const Vec low = Set1(args.low), high = Set1(args.high);
  const int64_t dst_stride = args.dst_stride;
  if (args.residual != nullptr) {
    const float* residual = args.residual + first * args.residual_stride;
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i, residual += args.residual_stride) {
#pragma GCC unroll 4
      for (int j = 0; j < VECTORS; ++j) {
        const int left = args.channels - j * kLanes;
        if (FULL || left >= kLanes) {
          sum[i][j] = Add(sum[i][j], Load(residual + j * kLanes));
        } else if (left > 0) {
          sum[i][j] = Add(sum[i][j], LoadFirst(residual + j * kLanes, left));
        }
      }
    }
  }
  float* dst = args.dst + first * dst_stride;
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i, dst += dst_stride) {
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
      const int left = args.channels - j * kLanes;
      if (FULL || left >= kLanes) {
        Store(dst + j * kLanes, Clamp(sum[i][j], low, high));
      } else if (left > 0) {
        StoreFirst(dst + j * kLanes, Clamp(sum[i][j], low, high), left);
      }
    }
  }
}

using StripPieceFn = void (*)(const StripArgs&, int64_t first);

template <int VECTORS, bool FULL>
struct StripPieces {
  StripPieceFn of[kStripRows<VECTORS> + 1] = {};  // by rows

  constexpr StripPieces() { Add<1>(); }

 private:
  template <int ROWS>
  constexpr void Add() {
    if constexpr (ROWS <= kStripRows<VECTORS>) {
      of[ROWS] = StripPiece<ROWS, VECTORS, FULL>;
      Add<ROWS + 1>();
    }
  }
};

// Pieces that are as even as can be.
template <int VECTORS, bool FULL>
void RunStrip(const StripArgs& args) {
  static constexpr StripPieces<VECTORS, FULL> kPieces;
  const int pixels = args.pixels;
  const int pieces = (pixels + kStripRows<VECTORS> - 1) / kStripRows<VECTORS>;
  if (pieces == 0) return;
  const int least = pixels / pieces, larger = pixels % pieces;
  int64_t first = 0;
  for (int piece = 0; piece < pieces; ++piece) {
    const int rows = least + (piece < larger ? 1 : 0);
    kPieces.of[rows](args, first);
    first += rows;
  }
}

template <int VECTORS>
void Strip(const StripArgs& args) {
  if (args.channels == VECTORS * kLanes) {
    RunStrip<VECTORS, true>(args);
  } else {
    RunStrip<VECTORS, false>(args);
  }
}

constexpr void AddStrips(KernelTable& table) {
  table.strip[1] = Strip<1>;
  table.strip[2] = Strip<2>;
  table.strip[3] = Strip<3>;
  if constexpr (kRegisters == 32) table.strip[4] = Strip<4>;
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
