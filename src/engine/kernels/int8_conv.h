// Convolutions of [N,H,W,C] u8 images with s8 weights by the loops of an Int8Table, as
// conv.h has those of float32. What the numbers mean: quantize/quantization.h; the
// results equal engine/ref's to the bit.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "engine/kernels/conv.h"
#include "engine/kernels/int8_table.h"
#include "engine/quantize/quantization.h"

namespace oriel::engine::kernels {

// Where results go; at least one of the two.
struct Int8Shape {
  ConvShape conv;  // src_pitch counts bytes, dst_pitch floats
  ActivationQuantization input;
  bool floats = true;                           // a float32 result
  std::optional<ActivationQuantization> bytes;  // a u8 result
  int64_t bytes_pitch = 0;
};

constexpr int64_t kInt8Slack = 64;

struct Int8ConvArgs {
  // Up to kInt8Slack bytes behind the last pixel are read, too.
  const uint8_t* src = nullptr;
  const std::byte* weights = nullptr;  // as Pack made them
  const float* residual = nullptr;     // of dst's shape, added before the clamp; or null
  float* floats = nullptr;             // may be the residual itself
  uint8_t* bytes = nullptr;
  std::byte* scratch = nullptr;       // scratch_bytes(), aligned to 64
  WorkQueue* queue = nullptr;         // filled with pieces(); null: to each its share
  const void* const* next = nullptr;  // as ConvArgs::next
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

// As Conv. Immutable, thread-safe.
class Int8Conv {
 public:
  virtual ~Int8Conv() = default;
  virtual const char* name() const = 0;
  // What the packed bytes depend on besides weights, scales and bias.
  virtual const char* weights_form() const = 0;
  virtual size_t packed_bytes() const = 0;
  // From [kh,kw,C,out] (depthwise: [kh,kw,C]), the weights' scales [out] and a bias
  // [out] that may be empty. `packed` is aligned to 4.
  virtual void Pack(std::span<const int8_t> weights, std::span<const float> scales,
                    std::span<const float> bias, std::span<std::byte> packed) const = 0;
  // Where in the packed bytes a thread begins to read.
  virtual int64_t first_read(int /*thread*/) const { return 0; }
  virtual size_t scratch_bytes() const = 0;  // of all threads
  virtual int64_t pieces(int thread) const = 0;
  virtual void Run(const Int8ConvArgs& args, int thread) const = 0;
};

// Any convolution without groups. input.max is at most table.max_activation.
std::unique_ptr<Int8Conv> MakeInt8Conv(const Int8Shape& shape, int threads,
                                       const Int8Table& table);

// Depthwise with one output channel for each channel.
std::unique_ptr<Int8Conv> MakeInt8DepthwiseConv(const Int8Shape& shape, int threads,
                                                const Int8Table& table);

Requantize RequantizeTo(const ActivationQuantization& to);

// What both kinds hand to their loops.
Int8Output OutputOf(const Int8Shape& shape, const Int8ConvArgs& args);

}  // namespace oriel::engine::kernels
