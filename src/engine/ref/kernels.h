// Plain loops, one function per operation (RefFn in ops.h): the arbiter of all
// other kernels, and what serves where none of them does. Sums run in double.
#pragma once

#include <span>

#include "engine/array_view.h"
#include "engine/ir.h"

namespace oriel::engine::ref {

using Inputs = std::span<const ConstArray>;
using Outputs = std::span<const Array>;

void Conv(const Op& op, Inputs in, Outputs out);
void FusedConv(const Op& op, Inputs in, Outputs out);
void Pool(const Op& op, Inputs in, Outputs out);
void MatMul(const Op& op, Inputs in, Outputs out);
void BatchNorm(const Op& op, Inputs in, Outputs out);
void ScaleShift(const Op& op, Inputs in, Outputs out);
void Softmax(const Op& op, Inputs in, Outputs out);
void Unary(const Op& op, Inputs in, Outputs out);
void LogSoftmax(const Op& op, Inputs in, Outputs out);
void Lrn(const Op& op, Inputs in, Outputs out);
void Binary(const Op& op, Inputs in, Outputs out);
void AddN(const Op& op, Inputs in, Outputs out);
void ClipByValue(const Op& op, Inputs in, Outputs out);
void LogicalNot(const Op& op, Inputs in, Outputs out);
void Select(const Op& op, Inputs in, Outputs out);
void Cast(const Op& op, Inputs in, Outputs out);
void Reduce(const Op& op, Inputs in, Outputs out);
void Concat(const Op& op, Inputs in, Outputs out);
void Split(const Op& op, Inputs in, Outputs out);
void Pad(const Op& op, Inputs in, Outputs out);
void Transpose(const Op& op, Inputs in, Outputs out);
void Slice(const Op& op, Inputs in, Outputs out);
void Fill(const Op& op, Inputs in, Outputs out);
void FillLike(const Op& op, Inputs in, Outputs out);
void GatherAxis(const Op& op, Inputs in, Outputs out);
void Tile(const Op& op, Inputs in, Outputs out);
void BroadcastTo(const Op& op, Inputs in, Outputs out);
void Rearrange(const Op& op, Inputs in, Outputs out);
void SpaceToBatch(const Op& op, Inputs in, Outputs out);
void BatchToSpace(const Op& op, Inputs in, Outputs out);
void ArgMost(const Op& op, Inputs in, Outputs out);
void TopK(const Op& op, Inputs in, Outputs out);
// Allocates some rows: the one that allocates.
void Resize(const Op& op, Inputs in, Outputs out);
void FakeQuantize(const Op& op, Inputs in, Outputs out);
void RoundToBf16(const Op& op, Inputs in, Outputs out);

// An operation with a Quantization: its sums are of integers, all else as above.
void Quantized(const Op& op, Inputs in, Outputs out);

// What follows the sums that the functions above leave in `out`.
void ApplyEpilogue(const Op& op, Inputs in, Outputs out);

float Evaluate(UnaryFunction function, float x);

}  // namespace oriel::engine::ref
