// The innermost loops of int8, as kernel_table.h has those of float32. What the numbers
// mean: quantize/quantization.h.
#pragma once

#include <cstdint>

#include "engine/kernels/kernel_table.h"

namespace oriel::engine::kernels {

// float32 to u8: clamp(round_half_even(x * inverse_scale), low, high) + zero_point, with
// low = -zero_point and high = max - zero_point. NaN becomes 0.
struct Requantize {
  float inverse_scale = 1;
  float low = 0, high = 255;
  int zero_point = 0;
};

// What becomes of sums, and where it goes: as float32, as u8, or as both.
//   real = clamp(f32(sum) * scale[c] + bias[c] + residual)
// Each operation rounds; none is contracted.
struct Int8Output {
  float* floats = nullptr;   // [pixel * floats_pitch + channel]; null: not wanted
  uint8_t* bytes = nullptr;  // the same
  int64_t floats_pitch = 0, bytes_pitch = 0;
  const float* residual = nullptr;  // null: none
  int64_t residual_pitch = 0;
  float low = 0, high = 0;  // NaN stays NaN
  Requantize requantize;
};

// sum[row][c] = start[c] + sum_k src[row][k] * weights[k][c]
// for one tile: some rows (output pixels) by one panel of output channels. k goes by
// fours: a Segment counts in them.
struct Int8TileArgs {
  // Of each segment and row, as TileArgs::src. The last four bytes of a row may reach
  // past its channels: their weights are 0.
  const uint8_t* const* src = nullptr;
  const Segment* segments = nullptr;
  int num_segments = 0;
  const int8_t* weights = nullptr;  // [k / 4][width of the panel][4]
  const int32_t* start = nullptr;   // [width of the panel]: less zero_point * weights
  const float* scale = nullptr;     // [width of the panel]
  const float* bias = nullptr;      // [width of the panel]
  const int64_t* pixels = nullptr;  // by row, into the output
  Int8Output output;
  int64_t channel = 0;  // the panel's first
  int channels = 0;     // stored; at most the width of the panel
  const char* prefetch = nullptr;
  int64_t prefetch_stride = 0;
};
using Int8TileFn = void (*)(const Int8TileArgs&);

// sum[pixel][c] = start[c] + sum_tap src[tap][pixel * pixel_stride + c] * weights[tap][c]
// Channels go by groups of four vectors of sums, in each of which the order is that in
// which bytes are brought together: element j of vector v is channel
// 16 * (j / 4) + 4 * v + j % 4 of the group.
struct Int8DepthwiseArgs {
  // By tap of the first pixel, its first channel; their number is a multiple of 4. A
  // whole group is read, even where channels do not fill it.
  const uint8_t* const* src = nullptr;
  int fours = 0;  // of taps
  int64_t pixel_stride = 0;
  int pixels = 0;
  const int8_t* weights = nullptr;  // [group][taps / 4][4 vectors][lanes][4]
  const int32_t* start = nullptr;   // [group][4 vectors][lanes]
  const float* scale = nullptr;     // the same
  const float* bias = nullptr;      // the same
  Int8Output output;
  int64_t pixel = 0;  // the first, in the output
  int channels = 0;
};

struct Int8PoolArgs {
  const uint8_t* const* src = nullptr;  // by pixel of the window
  int pixels = 0;
  uint8_t* dst = nullptr;
  int channels = 0;
};

struct Int8Table : TileSizes {
  const char* name = nullptr;  // "avx2"
  int max_activation = 0;      // 255, or 127 where pairs of products must fit 16 bits
  Int8TileFn tile[kMaxPanelVectors + 1][kMaxTileRows + 1] = {};  // by vectors and rows
  void (*depthwise)(const Int8DepthwiseArgs&) = nullptr;
  void (*quantize)(const float* src, int64_t count, const Requantize& to,
                   uint8_t* dst) = nullptr;
  void (*max_pool)(const Int8PoolArgs&) = nullptr;
};

// The table for the best instruction set that this CPU has and that MaxIsa() allows;
// null where there is none.
const Int8Table* FindInt8Table();

}  // namespace oriel::engine::kernels
