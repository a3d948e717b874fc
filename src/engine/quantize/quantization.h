// Eight-bit integers in place of float32 values: what the numbers of an operation that
// is computed in integers mean. QuantizeOps (quantize.h) puts them into an Ir.
//
// Activations are affine u8 (Jacob et al., "Quantization and Training of Neural
// Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018):
//   q    = clamp(round_half_even(x * inverse_scale) + zero_point, 0, max)
//   real = scale * (q - zero_point)
// Weights are symmetric s8 in -127..127 with one scale for each output channel
// (Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference",
// arXiv:1806.08342):
//   wq   = clamp(round_half_even(w / weight_scale[channel]), -127, 127)
//
// An operation with a Quantization (Conv2D, DepthwiseConv2dNative, MatMul) computes,
// from float32 values to a float32 value,
//   sum  = sum over taps of (q - zero_point) * wq       exactly, in int32
//   dst  = activation(f32(sum) * (input.scale * weight_scale[channel])
//                     + bias[channel] + residual)       in float32, left to right
// Padding is the real number 0: q = zero_point. Bias and residual are float32. A kernel
// may contract the product and the sum into one operation, else it agrees with
// engine/ref to the bit.
//
// The numbers of an activation belong to the value, not to the operation that reads
// it: all that read a value quantize it alike, so that a kernel may as well store the
// value as u8 where it is made. Where a value is also read as float32 (a residual, an
// operation that is not quantized), that reader gets the float32 value.
#pragma once

#include <cstdint>

namespace oriel::engine {

struct ActivationQuantization {
  float scale = 1;
  float inverse_scale = 1;  // 1 / scale, rounded to float32
  int zero_point = 0;       // 0..max
  int max = 255;            // 127 where a kernel has only seven bits

  bool operator==(const ActivationQuantization&) const = default;
};

struct Quantization {
  ActivationQuantization input;  // of Op::inputs[0]; Op::inputs[1] is s8
  int weight_scales = -1;        // index into Op::inputs of a float32 constant [channels]
};

// q - zero_point of the formula above, as a whole number. NaN counts as the least.
inline float QuantizeCentered(float x, const ActivationQuantization& to) {
  const auto low = static_cast<float>(-to.zero_point);
  const auto high = static_cast<float>(to.max - to.zero_point);
  const float scaled = x * to.inverse_scale;
  // Both ends are whole numbers: clipping first gives the same.
  const float above = scaled > low ? scaled : low;
  const float clipped = above < high ? above : high;
  // Between 2^23 and 2^24 floats are the whole numbers: the sum rounds, halves to even,
  // and compilers turn it into vectors on every CPU.
  constexpr float kWhole = 12582912.0f;  // 1.5 * 2^23
  return (clipped + kWhole) - kWhole;
}

inline uint8_t Quantize(float x, const ActivationQuantization& to) {
  return static_cast<uint8_t>(static_cast<int>(QuantizeCentered(x, to)) + to.zero_point);
}

inline float Dequantize(uint8_t q, const ActivationQuantization& from) {
  return from.scale * static_cast<float>(static_cast<int>(q) - from.zero_point);
}

}  // namespace oriel::engine
