// The innermost loops, one table of them for each instruction set: what the
// convolutions of this folder are made of.
//
// Images are [N,H,W,C] float32; pixels are handed over as pointers to their first
// channel, so that padding, strides and slices of wider images cost the loops nothing:
// a pixel outside the image points to zeros.
#pragma once

#include <cstdint>

namespace oriel::engine::kernels {

// A run of input channels that meets consecutive rows of packed weights.
struct Segment {
  int32_t first = 0;  // row of the weights
  int32_t count = 0;
};

// dst[row][channel + c] = clamp(bias[c] + sum_k src[row][k] * weights[k][c]
//                               + residual[row][channel + c])
// for one tile: some rows (output pixels) by one panel of output channels.
struct TileArgs {
  // Of each segment and row, `segments` times rows pointers to `count` floats.
  const float* const* src = nullptr;
  const Segment* segments = nullptr;
  int num_segments = 0;
  const float* weights = nullptr;          // [k][width of the panel]
  const float* bias = nullptr;             // [width of the panel]
  float* const* dst = nullptr;             // by row
  const float* const* residual = nullptr;  // by row; null: none
  int64_t channel = 0;                     // the panel's first, into dst and residual
  int channels = 0;                        // stored; at most the width of the panel
  float low = 0, high = 0;                 // clamp; NaN stays NaN
  // Fetched into the second level cache on the way: the weights that come next.
  const char* prefetch = nullptr;
  int64_t prefetch_stride = 0;  // bytes for each kPrefetchSteps of k
};
using TileFn = void (*)(const TileArgs&);
constexpr int kPrefetchSteps = 8;

// dst[pixel][c] = clamp(bias[c] + sum_s sum_k src[s][pixel][k] * weights[s][k][c]
//                       + residual[pixel][c])
// for one panel of output channels and pixels at even distances: less to set up than
// tiles, which counts where k is small.
struct StripArgs {
  const float* const* src = nullptr;  // by segment: of the first pixel, `count` floats
  int num_segments = 1;
  int count = 0;
  int64_t pixel_stride = 0;  // floats from pixel to pixel in src
  int pixels = 0;
  const float* weights = nullptr;  // [segment][count][width of the panel]
  const float* bias = nullptr;     // [width of the panel]
  float* dst = nullptr;            // of the first pixel: the panel's first channel
  int64_t dst_stride = 0;
  const float* residual = nullptr;  // null: none
  int64_t residual_stride = 0;
  int channels = 0;  // stored; at most the width of the panel
  float low = 0, high = 0;
};
using StripFn = void (*)(const StripArgs&);

// Filters that have loops of their own; of any height.
enum class DepthwiseKind { kAny, k3, k3Stride2, k5, k5Stride2 };  // by width
constexpr int kDepthwiseKinds = 5;
constexpr int kDepthwiseLinePixels = 9;  // that a loop computes at a time, at most

// dst[pixel][c] = clamp(bias[c] + sum_tap src[tap][pixel][c] * weights[tap][c]
//                       + residual[pixel][c])
// for pixels of one line whose taps lie in memory at even distances: `rows` points to
// the first tap of the first pixel in each line that is inside the image.
struct DepthwiseArgs {
  const float* const* rows = nullptr;
  const int32_t* first_taps = nullptr;  // by row: the weights of its first tap
  int num_rows = 0;
  int pixels = 0;
  int columns = 0;                 // taps of a row
  int64_t column_stride = 0;       // floats from tap to tap
  int64_t pixel_stride = 0;        // floats from pixel to pixel
  const float* weights = nullptr;  // [tap][weights_pitch]
  int64_t weights_pitch = 0;
  const float* bias = nullptr;
  float* dst = nullptr;
  int64_t dst_stride = 0;
  const float* residual = nullptr;  // null: none
  int64_t residual_stride = 0;
  int channels = 0;
  float low = 0, high = 0;
};

using DepthwiseFn = void (*)(const DepthwiseArgs&);

// Maximum or mean over the pixels of a window.
struct PoolArgs {
  const float* const* src = nullptr;  // by pixel of the window
  int pixels = 0;
  float* dst = nullptr;
  int channels = 0;
};
using PoolFn = void (*)(const PoolArgs&);

// One tile into (or out of) Winograd's domain. `domain` is [point][...][channels] with
// `stride` floats from point to point.
struct WinogradInputArgs {
  const float* const* src = nullptr;  // by pixel of the tile, row by row
  int channels = 0;
  float* domain = nullptr;
  int64_t stride = 0;
};
struct WinogradOutputArgs {
  const float* domain = nullptr;
  int64_t stride = 0;
  int channels = 0;
  const float* bias = nullptr;             // [channels]
  float* const* dst = nullptr;             // by pixel of the tile; null: not there
  const float* const* residual = nullptr;  // the same; null: none
  float low = 0, high = 0;
};

// F(m x m', r x r'): how many outputs by which filter; see winograd_matrices.h.
enum class WinogradKind { kF4x4_3x3, kF6_7, kF4_7, kF4_3 };
constexpr int kWinogradKinds = 4;

constexpr int kMaxTileRows = 12;
constexpr int kMaxPanelVectors = 4;

// What tiles a table has, for whoever cuts the work into them.
struct TileSizes {
  int lanes = 0;  // sums in a vector
  // Of a panel of 1, 2, ... vectors: the most rows of a tile; 0: no such panel.
  int max_rows[kMaxPanelVectors + 1] = {};
  double fma_per_cycle = 2;  // steps of k of one vector of sums
  int best_vectors = 0;      // of a panel, where all else is equal
};

struct KernelTable : TileSizes {
  const char* name = nullptr;                                // "avx2"
  TileFn tile[kMaxPanelVectors + 1][kMaxTileRows + 1] = {};  // by vectors and rows
  StripFn strip[kMaxPanelVectors + 1] = {};                  // by vectors
  DepthwiseFn depthwise[kDepthwiseKinds] = {};
  PoolFn max_pool = nullptr;
  PoolFn mean_pool = nullptr;
  void (*winograd_input[kWinogradKinds])(const WinogradInputArgs&) = {};
  void (*winograd_output[kWinogradKinds])(const WinogradOutputArgs&) = {};
};

// The table for the best instruction set that this CPU has and that MaxIsa() allows;
// null where there is none.
const KernelTable* FindKernelTable();

}  // namespace oriel::engine::kernels
