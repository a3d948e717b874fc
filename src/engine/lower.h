// Backends: from the Ir to a Program.
#pragma once

#include "engine/ir.h"
#include "engine/plan.h"
#include "engine/program.h"

namespace oriel::engine {

// Each operation by its reference kernel, row-major everywhere. The Ir is not
// fused, unless it is of another precision than float32.
absl::StatusOr<Program> LowerToReference(const Ir& ir, WeightStore& weights);

// Our own kernels where the options and the CPU want them, oneDNN's primitives where
// those serve, reference kernels elsewhere. Our own are made for `threads`.
absl::StatusOr<Program> LowerToOneDnn(const Ir& ir, const PlanOptions& options,
                                      int threads, WeightStore& weights);

// Whether our own kernels compute a quantized operation in integers on this CPU.
bool HasInt8Kernel(const Ir& ir, const Op& op);

// A reference kernel as a step, epilogue included; its slots are the inputs and outputs
// of `op`, row-major.
std::shared_ptr<const Kernel> MakeReferenceKernel(const Ir& ir, const Op& op);

// Says of the program's last step that it computes `op`, for profiles.
void DescribeLastStep(const Ir& ir, const Op& op, Program& program);

// A constant's row-major bytes as a slot.
absl::StatusOr<SlotId> AddPlainConstant(const Value& value, WeightStore& weights,
                                        Program& program);

inline size_t PlainBytes(const Value& value) {
  return static_cast<size_t>(value.shape.elements()) * ElementSize(value.dtype);
}

}  // namespace oriel::engine
