// What the lowerings of single operations share: where each value lies and in what
// layout, reorders where a kernel wants another one, packed constants.
//
// oneDNN's logical dimensions of an image [N,H,W,C] are [N,C,H,W]: tensors of four
// dimensions are described so, all others as they are.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/ir.h"
#include "engine/lower.h"
#include "engine/onednn/primitive_kernel.h"
#include "engine/plan.h"
#include "engine/program.h"

namespace oriel::engine::onednn {

struct Located {
  SlotId slot = -1;
  dnnl::memory::desc desc;
};

class Lowering {
 public:
  Lowering(const Ir& ir, const PlanOptions& options, WeightStore& weights);

  absl::StatusOr<Program> Lower();

  // For the lowerings of single operations.

  const Value& value(ValueId id) const { return ir_.values[id]; }
  const Shape& shape(ValueId id) const { return ir_.values[id].shape; }

  // Images stay [N,H,W,C] between kernels; else kernels choose.
  bool channels_last() const { return channels_last_; }
  // What an image-like value is asked for as: any layout, or channels last.
  dnnl::memory::desc AnyDesc(const Shape& shape) const;
  // Row-major.
  static dnnl::memory::desc PlainDesc(const Shape& shape);
  static dnnl::memory::dims LogicalDims(const Shape& shape);
  // The logical place of a row-major axis.
  static int LogicalAxis(const Shape& shape, int axis);

  // The value as it lies.
  absl::StatusOr<Located> Get(ValueId id);
  // The value in this layout, by a reorder step if need be; constants are reordered
  // here and now.
  absl::StatusOr<Located> Get(ValueId id, const dnnl::memory::desc& wanted);
  absl::StatusOr<Located> GetPlain(ValueId id);
  // A constant in the layout `wanted`, when `plain` describes its row-major bytes.
  absl::StatusOr<SlotId> PackConstant(ValueId id, const dnnl::memory::desc& plain,
                                      const dnnl::memory::desc& wanted);
  // A constant of our own making, under a key of its own.
  absl::StatusOr<SlotId> AddVector(const std::string& key, std::span<const float> values);
  // Nothing reads the slot after the operation that is being lowered.
  bool CanOverwrite(SlotId slot) const;
  // A slot that holds the value in this layout and that a kernel may overwrite: the
  // value's own where nothing else reads it later, else a copy.
  absl::StatusOr<SlotId> GetForOverwriting(ValueId id, const dnnl::memory::desc& wanted);

  // Where the result of an operation lies.
  SlotId Define(ValueId id, const dnnl::memory::desc& desc);
  void DefineIn(ValueId id, SlotId slot, const dnnl::memory::desc& desc);

  void AddPrimitive(const Op& op, dnnl::primitive primitive,
                    const dnnl::memory::desc& scratchpad,
                    std::vector<std::pair<PrimitiveArg, SlotId>> inputs,
                    std::vector<std::pair<PrimitiveArg, SlotId>> outputs);

  // A step by a kernel of the engine's own.
  void AddKernel(const Op& op, std::shared_ptr<const Kernel> kernel,
                 std::vector<SlotId> inputs, std::vector<SlotId> outputs);

  // A step that copies into a new slot of the layout `wanted`.
  Located Reorder(const std::string& name, const Located& from,
                  const dnnl::memory::desc& wanted);

  // Attributes every primitive has: scratch memory is ours.
  static dnnl::primitive_attr NewAttr();
  static void AppendActivation(const UnaryFunction& function, dnnl::post_ops& post_ops);
  // The function as oneDNN has it: false when it does not.
  struct Eltwise {
    dnnl::algorithm algorithm;
    float alpha = 0, beta = 0;
  };
  static std::optional<Eltwise> FindEltwise(const UnaryFunction& function);

 private:
  absl::Status LowerOp(const Op& op);
  absl::Status LowerReshape(const Op& op);
  absl::Status LowerByReference(const Op& op);

  const Ir& ir_;
  WeightStore& weights_;
  bool channels_last_;
  Program program_;
  std::vector<std::vector<Located>> located_;  // by value: the own place, then copies
  std::vector<int> reads_left_;                // by value, of operations not lowered yet
};

}  // namespace oriel::engine::onednn
