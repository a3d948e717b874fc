// The loops of depthwise convolution for the instruction set that this file is compiled
// for; see kernels_impl.h.
#pragma once

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/simd.h"

namespace oriel::engine::kernels::ORIEL_ISA {

// Sums of PIXELS outputs, from output `first` on, for one vector of channels after the
// other. COLUMNS and STRIDE 0: as the arguments say.
template <int COLUMNS, int STRIDE, int PIXELS>
void DepthwisePiece(const DepthwiseArgs& args, int64_t first) {
  const Vec low = Set1(args.low), high = Set1(args.high);
  const int64_t pitch = args.weights_pitch, dst_stride = args.dst_stride;
  const int64_t column_stride = args.column_stride;
  const int64_t offset = first * args.pixel_stride;
  const int num_rows = args.num_rows;
  const float* const* const rows = args.rows;
  const int32_t* const first_taps = args.first_taps;
  float* const dst = args.dst + first * dst_stride;
  const float* const residual =
      args.residual == nullptr ? nullptr : args.residual + first * args.residual_stride;
  ForChannels(args.channels, [&](int c, auto load,
                                 auto store) ORIEL_ALWAYS_INLINE_LAMBDA {
    Vec sum[PIXELS];
    sum[0] = load(args.bias + c);
#pragma GCC unroll 16
    for (int i = 1; i < PIXELS; ++i) sum[i] = sum[0];
#pragma GCC unroll 1
    for (int row = 0; row < num_rows; ++row) {
      const float* src = rows[row] + offset + c;
      const float* weights = args.weights + first_taps[row] * pitch + c;
      if constexpr (COLUMNS > 0) {
        // Each pixel is loaded once and goes into the sums of all outputs that it meets.
        Vec w[COLUMNS];
#pragma GCC unroll 16
        for (int k = 0; k < COLUMNS; ++k, weights += pitch) w[k] = load(weights);
        constexpr int kRead = (PIXELS - 1) * STRIDE + COLUMNS;
#pragma GCC unroll 32
        for (int x = 0; x < kRead; ++x, src += column_stride) {
          const Vec pixel = load(src);
#pragma GCC unroll 16
          for (int k = 0; k < COLUMNS; ++k) {
            if (x >= k && (x - k) % STRIDE == 0 && (x - k) / STRIDE < PIXELS) {
              sum[(x - k) / STRIDE] = Fma(pixel, w[k], sum[(x - k) / STRIDE]);
            }
          }
        }
      } else {
        const int64_t stride = args.pixel_stride;
#pragma GCC unroll 1
        for (int k = 0; k < args.columns; ++k, weights += pitch, src += column_stride) {
          const Vec w = load(weights);
          const float* pixel = src;
#pragma GCC unroll 16
          for (int i = 0; i < PIXELS; ++i, pixel += stride) {
            sum[i] = Fma(load(pixel), w, sum[i]);
          }
        }
      }
    }
    if (residual != nullptr) {
      const float* from = residual + c;
#pragma GCC unroll 16
      for (int i = 0; i < PIXELS; ++i, from += args.residual_stride) {
        sum[i] = Add(sum[i], load(from));
      }
    }
    float* to = dst + c;
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i, to += dst_stride)
      store(to, Clamp(sum[i], low, high));
  });
}

// The line in pieces that are as even as can be.
template <int COLUMNS, int STRIDE>
void DepthwiseLine(const DepthwiseArgs& args) {
  using Piece = void (*)(const DepthwiseArgs&, int64_t);
  static constexpr Piece kPieces[] = {nullptr,
                                      DepthwisePiece<COLUMNS, STRIDE, 1>,
                                      DepthwisePiece<COLUMNS, STRIDE, 2>,
                                      DepthwisePiece<COLUMNS, STRIDE, 3>,
                                      DepthwisePiece<COLUMNS, STRIDE, 4>,
                                      DepthwisePiece<COLUMNS, STRIDE, 5>,
                                      DepthwisePiece<COLUMNS, STRIDE, 6>,
                                      DepthwisePiece<COLUMNS, STRIDE, 7>,
                                      DepthwisePiece<COLUMNS, STRIDE, 8>,
                                      DepthwisePiece<COLUMNS, STRIDE, 9>};
  const int pixels = args.pixels;
  const int pieces = (pixels + kDepthwiseLinePixels - 1) / kDepthwiseLinePixels;
  if (pieces == 0) return;
  const int least = pixels / pieces, larger = pixels % pieces;
  int64_t first = 0;
  for (int piece = 0; piece < pieces; ++piece) {
    const int size = least + (piece < larger ? 1 : 0);
    kPieces[size](args, first);
    first += size;
  }
}

constexpr void AddDepthwise(KernelTable& table) {
  table.depthwise[static_cast<int>(DepthwiseKind::kAny)] = DepthwiseLine<0, 0>;
  table.depthwise[static_cast<int>(DepthwiseKind::k3)] = DepthwiseLine<3, 1>;
  table.depthwise[static_cast<int>(DepthwiseKind::k3Stride2)] = DepthwiseLine<3, 2>;
  table.depthwise[static_cast<int>(DepthwiseKind::k5)] = DepthwiseLine<5, 1>;
  table.depthwise[static_cast<int>(DepthwiseKind::k5Stride2)] = DepthwiseLine<5, 2>;
}

}  // namespace oriel::engine::kernels::ORIEL_ISA
