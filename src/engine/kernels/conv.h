// Convolutions of [N,H,W,C] float32 images by the loops of a KernelTable: direct,
// Winograd's, depthwise. What they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/panels.h"
#include "engine/kernels/range.h"
#include "engine/kernels/work_queue.h"

namespace oriel::engine::kernels {

struct ConvShape {
  int64_t batch = 1;
  int64_t src_h = 1, src_w = 1, src_c = 1;
  int64_t dst_h = 1, dst_w = 1, dst_c = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  // Floats from one pixel to the next, at least the channels: more where the image is
  // a slice of the channels of a wider one.
  int64_t src_pitch = 1, dst_pitch = 1, residual_pitch = 1;
};

struct Bounds {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

struct ConvArgs {
  const float* src = nullptr;
  const float* weights = nullptr;   // as Pack made them
  const float* residual = nullptr;  // of dst's shape, added before the clamp; or null
  float* dst = nullptr;             // may be the residual itself
  std::byte* scratch = nullptr;     // scratch_bytes(), aligned to 64
  WorkQueue* queue = nullptr;       // filled with pieces(); null: to each its share
  // By thread: what it reads after this, to be fetched ahead; or null.
  const void* const* next = nullptr;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

// One algorithm for one shape and number of threads. Immutable, thread-safe.
class Conv {
 public:
  virtual ~Conv() = default;
  // For profiles and the cache of choices: "direct 6x16", "winograd F(4x4,3x3)".
  virtual const char* name() const = 0;
  // What the packed weights depend on besides the weights: equal forms, equal bytes.
  virtual const char* weights_form() const = 0;
  virtual size_t packed_floats() const = 0;
  // From [kh,kw,C,out] (depthwise: [kh,kw,C]) and a bias [out] that may be empty.
  virtual void Pack(std::span<const float> weights, std::span<const float> bias,
                    std::span<float> packed) const = 0;
  // Where in the packed weights a thread begins to read, in floats.
  virtual int64_t first_read(int /*thread*/) const { return 0; }
  virtual size_t scratch_bytes() const = 0;  // of all threads
  // How many pieces the share of `thread` has; may be none.
  virtual int64_t pieces(int thread) const = 0;
  // The share of `thread`, of as many threads as the convolution was made for; where
  // there is a queue, pieces of it. All may run at the same time; none waits for another.
  virtual void Run(const ConvArgs& args, int thread) const = 0;
};

// Any convolution without groups, by direct sums. `threads` is how many share the
// work. The tiling is one of DirectTilings.
std::unique_ptr<Conv> MakeDirectConv(const ConvShape& shape, const Tiling& tiling,
                                     const KernelTable& table);
std::vector<Tiling> DirectTilings(const ConvShape& shape, int threads,
                                  const KernelTable& table);
// By the tiling that ought to be best.
std::unique_ptr<Conv> MakeDirectConv(const ConvShape& shape, int threads,
                                     const KernelTable& table);

// "winograd F(4x4,3x3)".
std::string_view WinogradName(WinogradKind kind);
// Whether Winograd's algorithm of this kind computes such a convolution.
bool IsWinograd(const ConvShape& shape, WinogradKind kind);
std::unique_ptr<Conv> MakeWinogradConv(const ConvShape& shape, WinogradKind kind,
                                       const Tiling& tiling, const KernelTable& table);
std::vector<Tiling> WinogradTilings(const ConvShape& shape, WinogradKind kind,
                                    int threads, const KernelTable& table);

// Depthwise with one output channel for each channel.
std::unique_ptr<Conv> MakeDepthwiseConv(const ConvShape& shape, int threads,
                                        const KernelTable& table);

// The pixels of a line of the result all of whose columns of taps are inside the image.
Range PixelsInside(const ConvShape& shape);

// Bytes of the second level cache of one core.
int64_t SecondLevelCache();

}  // namespace oriel::engine::kernels
