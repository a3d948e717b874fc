// Quantization of a fused Ir by a calibration, and its simulation in float32.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/ir.h"
#include "engine/kernel.h"
#include "engine/quantize/calibration.h"

namespace oriel::engine {

// The whole of `range` and 0, which is exact; a range without negative numbers has zero
// point 0 (Jacob et al. 2018, section 3; Krishnamoorthi 2018, section 2.1).
// activation_bits: 8 or 7.
ActivationQuantization ChooseQuantization(ValueRange range, int activation_bits);

// Weights as s8: one scale for each output channel, its largest magnitude becomes 127;
// the scale is 1 where all are 0. NaN counts as 0. Element i is of channel i % channels,
// or of channel i / (elements / channels) where `by_row`.
struct QuantizedWeights {
  Tensor values;  // int8, of the weights' shape
  Tensor scales;  // float32 [channels]
};
QuantizedWeights QuantizeWeights(const Tensor& weights, int64_t channels, bool by_row);

// Whether QuantizeOps can quantize it: Conv2D, DepthwiseConv2dNative or MatMul of a
// float32 value with constant weights, and few enough taps for sums in int32 (at most
// 2^31 / (255 * 127)).
bool IsQuantizable(const Ir& ir, const Op& op);

// Which values have to have the same quantization: the inputs and the output of a
// concatenation, a maximum pool and a change of shape, so that these stay copies and
// maxima of u8. Groups are numbered from 0 in no order; one for each value of the Ir.
std::vector<int> QuantizationGroups(const Ir& ir);

// Annotates the operations that IsQuantizable, that the calibration does not keep wider
// and whose input has a range:
// - Value::quantization of each value of a group of which one has a range: of the union
//   of their ranges;
// - Op::quantization; its inputs[1] becomes a constant of s8 in the same order as
//   before ([kh,kw,I,O], [kh,kw,C,M], [k,n] or transposed), and its bias takes up the
//   correction (one is added where there was none).
// Quantized weights are made only when a kernel asks for them.
// kInvalidArgument where a correction has not one number for each channel, a range is
// not finite or the calibration fits no operation at all.
absl::Status QuantizeOps(Ir& ir, const Calibration& calibration, int activation_bits);

// Turns annotated operations into float32 ones that give the same numbers but for
// rounding of the scales: sums of whole numbers below 2^24 are exact in float32. An
// operation FakeQuantize (x -> scale * (q - zero_point)) is put before each value that
// they read, and weights become weight_scale * wq. `which` picks operations, by default
// all: those that a backend has no int8 kernel for.
void SimulateQuantization(Ir& ir,
                          const std::function<bool(const Op& op)>& which = nullptr);

// Attributes of FakeQuantize, an operation of the engine's own that no graph can name.
struct FakeQuantizeAttrs : OpAttrs {
  ActivationQuantization quantization;
};
const OpType* FakeQuantizeOp();
// The same on `elements` float32 in any order; from and to may be one.
std::shared_ptr<const Kernel> MakeFakeQuantizeKernel(
    const ActivationQuantization& quantization, int64_t elements);

// Whether this machine has kernels that make int8 worth it.
bool HasFastInt8();
// The activation_bits that they want: 7 where products of u8 and s8 are added in pairs
// to sixteen bits (AVX2's vpmaddubsw), else 8.
int FastInt8ActivationBits();

}  // namespace oriel::engine
