// The lowerings to oneDNN of all operations, for the table in ops.cc (OneDnnFn in
// ops.h).
#pragma once

#include "base/status.h"
#include "engine/ir.h"
#include "engine/ops/window.h"

namespace oriel::engine::onednn {

class Lowering;

absl::StatusOr<bool> LowerConv(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerPool(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerMatMul(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerBatchNorm(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerLrn(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerScaleShift(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerSoftmax(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerUnary(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerBinary(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerReduce(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerFakeQuantize(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerRoundToBf16(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerConcat(Lowering& lowering, const Op& op);

// The same by our own kernels; false: not in this form, or there are none for this CPU.
absl::StatusOr<bool> LowerOwnConv(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerOwnMatMul(Lowering& lowering, const Op& op);
// Pools the first input into the value `dst`, of any shape with as many elements.
absl::StatusOr<bool> LowerOwnPool(Lowering& lowering, const Op& op, const Window& window,
                                  bool mean, ValueId dst);

// Quantized operations by our own kernels (HasInt8Kernel in lower.h says which).
absl::StatusOr<bool> LowerInt8(Lowering& lowering, const Op& op);
// The form of u8 of a maximum pool.
absl::Status LowerBytePool(Lowering& lowering, const Op& op, const Window& window);

}  // namespace oriel::engine::onednn
