// The lowerings to oneDNN of all operations, for the table in ops.cc (OneDnnFn in
// ops.h).
#pragma once

#include "base/status.h"

namespace oriel::engine {
struct Op;
}

namespace oriel::engine::onednn {

class Lowering;

absl::StatusOr<bool> LowerConv(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerPool(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerMatMul(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerBatchNorm(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerSoftmax(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerUnary(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerBinary(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerReduce(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerFakeQuantize(Lowering& lowering, const Op& op);
absl::StatusOr<bool> LowerConcat(Lowering& lowering, const Op& op);

}  // namespace oriel::engine::onednn
