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

constexpr int kDepthwisePixels = 6;  // of one call, at most

// As DepthwiseArgs, with pixels and weights that are whole numbers: their sums are
// exact in float32 below 2^24. Pixel 0 of the call is pixel `pixel` of the output.
struct Int8DepthwiseArgs {
  const float* const* rows = nullptr;
  const int32_t* first_taps = nullptr;
  int num_rows = 0;
  int columns = 0;
  int64_t column_stride = 0;
  int64_t pixel_stride = 0;
  const float* weights = nullptr;
  int64_t weights_pitch = 0;
  const float* scale = nullptr;
  const float* bias = nullptr;
  int64_t pixel = 0;
  Int8Output output;
  int64_t channel = 0;  // the first, into the output; all others are from here on
  int channels = 0;
};
using Int8DepthwiseFn = void (*)(const Int8DepthwiseArgs&);

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
  Int8DepthwiseFn depthwise[kDepthwisePixels + 1] = {};          // by pixels
  void (*quantize)(const float* src, int64_t count, const Requantize& to,
                   uint8_t* dst) = nullptr;
  // dst = src - zero_point of `channels` of each pixel, which are `pitch` bytes apart,
  // to a dense line.
  void (*center_line)(const uint8_t* src, int64_t pitch, int64_t pixels, int channels,
                      float zero_point, float* dst) = nullptr;
  void (*max_pool)(const Int8PoolArgs&) = nullptr;
};

// The table for the best instruction set that this CPU has and that MaxIsa() allows;
// null where there is none.
const Int8Table* FindInt8Table();

}  // namespace oriel::engine::kernels
