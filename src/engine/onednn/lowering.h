// What the lowerings of single operations share: where each value lies and in what
// layout, reorders where a kernel wants another one, packed constants.
//
// oneDNN's logical dimensions of an image [N,H,W,C] are [N,C,H,W]: tensors of four
// dimensions are described so, all others as they are.
#pragma once

#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/ir.h"
#include "engine/kernels/int8_table.h"
#include "engine/kernels/kernel_table.h"
#include "engine/lower.h"
#include "engine/onednn/primitive_kernel.h"
#include "engine/plan.h"
#include "engine/program.h"

namespace oriel::engine::onednn {

// An image [N,H,W,C] for our own kernels.
struct ImageView {
  SlotId slot = -1;
  size_t offset = 0;  // bytes into the slot
  int64_t pitch = 0;  // elements from one pixel to the next
};

struct Located {
  SlotId slot = -1;
  dnnl::memory::desc desc;
};

class Lowering {
 public:
  Lowering(const Ir& ir, const PlanOptions& options, int threads, WeightStore& weights);

  absl::StatusOr<Program> Lower();

  // For the lowerings of single operations.

  const Ir& ir() const { return ir_; }
  const Value& value(ValueId id) const { return ir_.values[id]; }
  const Shape& shape(ValueId id) const { return ir_.values[id].shape; }

  // Whose inputs can lie in slices of its result.
  bool IsConcatOfChannels(const Op& op) const;

  // Images stay [N,H,W,C] between kernels; else kernels choose.
  bool channels_last() const { return channels_last_; }
  // Our own kernels for this CPU, null: oneDNN's alone; they need channels last.
  const kernels::KernelTable* own_kernels() const { return own_kernels_; }
  const PlanOptions& options() const { return options_; }
  int threads() const { return threads_; }
  // How numbers of a float32 value are stored: as float32, or as bfloat16.
  dnnl::memory::data_type TypeOf(ValueId id) const;
  // What an image-like value is asked for as: any layout, or channels last.
  dnnl::memory::desc AnyDesc(const Shape& shape, dnnl::memory::data_type type =
                                                     dnnl::memory::data_type::f32) const;
  // Row-major.
  static dnnl::memory::desc PlainDesc(
      const Shape& shape, dnnl::memory::data_type type = dnnl::memory::data_type::f32);
  // The layout of `desc` for numbers of another type.
  static dnnl::memory::desc WithType(const dnnl::memory::desc& desc,
                                     dnnl::memory::data_type type);
  static dnnl::memory::dims LogicalDims(const Shape& shape);
  // The logical place of a row-major axis.
  static int LogicalAxis(const Shape& shape, int axis);

  // The value as it lies, whole.
  absl::StatusOr<Located> Get(ValueId id);
  // The value in this layout, by a reorder step if need be; constants are reordered
  // here and now.
  absl::StatusOr<Located> Get(ValueId id, const dnnl::memory::desc& wanted);
  // The value as it lies, in numbers of this type.
  absl::StatusOr<Located> Get(ValueId id, dnnl::memory::data_type type);
  // Row-major, and float32 where it is a value of float32.
  absl::StatusOr<Located> GetPlain(ValueId id);
  // An image for our own kernels, which take slices of wider images as they are.
  absl::StatusOr<ImageView> GetImage(ValueId id);
  // Where they put their result: a slice of the concatenation that reads it, if one
  // does. `overwrite`, if not null, is an image of the same shape that the result may
  // take the place of.
  ImageView DefineImage(ValueId id, const ImageView* overwrite = nullptr);
  // Images of u8, for those that read them quantized (byte_images.cc). Each value has the
  // forms that its readers want: float32, u8 or both.
  const kernels::Int8Table* int8_kernels() const { return int8_kernels_; }
  bool WantsFloats(ValueId id) const { return wants_floats_[id] || !wants_bytes_[id]; }
  bool WantsBytes(ValueId id) const { return wants_bytes_[id]; }
  // As u8; where the value lies as float32 alone, a step quantizes it. A value of other
  // than four dimensions is an image of one line.
  absl::StatusOr<ImageView> GetBytes(ValueId id, const ActivationQuantization& as);
  // As DefineImage.
  ImageView DefineBytes(ValueId id);
  // Concatenates channels in the form of u8.
  absl::Status ConcatBytes(const Op& op);

  // The memory of a concatenation's result, of which inputs may already be in place.
  Located ReserveConcat(ValueId id);
  // Puts input `index` of a concatenation into its slice, unless it lies there.
  absl::Status FillSlice(const Op& concat, int index, const Located& whole);

  // A constant in the layout `wanted`, when `plain` describes its row-major bytes.
  absl::StatusOr<SlotId> PackConstant(ValueId id, const dnnl::memory::desc& plain,
                                      const dnnl::memory::desc& wanted);
  // A constant of our own making, under a key of its own.
  absl::StatusOr<SlotId> AddVector(const std::string& key, std::span<const float> values);
  // Nothing reads the slot after the operation that is being lowered.
  bool CanOverwrite(SlotId slot);
  // A slot that holds the value in this layout and that a kernel may overwrite: the
  // value's own where nothing else reads it later, else a copy.
  absl::StatusOr<SlotId> GetForOverwriting(ValueId id, const dnnl::memory::desc& wanted);

  // Where the result of an operation lies.
  SlotId Define(ValueId id, const dnnl::memory::desc& desc);
  void DefineIn(ValueId id, SlotId slot, const dnnl::memory::desc& desc);
  // Where a result of src's layout and type goes: over src where nothing else reads it.
  SlotId PlaceLike(ValueId id, const Located& src);

  void AddPrimitive(const Op& op, dnnl::primitive primitive,
                    const dnnl::memory::desc& scratchpad,
                    std::vector<std::pair<PrimitiveArg, SlotId>> inputs,
                    std::vector<std::pair<PrimitiveArg, SlotId>> outputs);

  // A step by a kernel of the engine's own.
  void AddKernel(const Op& op, std::shared_ptr<const Kernel> kernel,
                 std::vector<SlotId> inputs, std::vector<SlotId> outputs);
  // Of the kernel that was added last.
  void SetChoice(Choice choice) { program_.steps.back().choice = std::move(choice); }

  // A step that copies from one place into another.
  void AddReorder(const std::string& name, const Located& from, const Located& to);
  // A step that copies into a new slot of the layout `wanted`.
  Located Reorder(const std::string& name, const Located& from,
                  const dnnl::memory::desc& wanted);

  // Constants of our own kernels: kept under `key`, made by `fill`.
  absl::StatusOr<SlotId> AddPacked(
      const std::string& key, size_t bytes,
      const std::function<absl::Status(std::span<uint8_t>)>& fill);

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
  // Results that a kernel could make in float32 only, where they are stored otherwise.
  void StoreInType(const Op& op);

  // The place that ReserveConcat keeps for a value in a concatenation.
  struct Slice {
    ValueId concat = kNoValue;
    int64_t channel = 0;  // the first
  };
  void PlanSlices();
  void PlanForms();
  ImageView ReserveBytes(ValueId id);
  // A step that quantizes or copies a value into `to`.
  absl::Status FillBytes(ValueId id, const ActivationQuantization& as,
                         const ImageView& to);
  bool IsWhole(const Located& located) const;
  // One more place of a value.
  void Locate(ValueId id, const Located& located);
  static ImageView ViewOf(const Located& located);
  Located SliceOf(ValueId id);

  const Ir& ir_;
  const PlanOptions& options_;
  WeightStore& weights_;
  const kernels::KernelTable* own_kernels_;
  const kernels::Int8Table* int8_kernels_;
  bool channels_last_;
  int threads_;
  Program program_;
  std::vector<std::vector<Located>> located_;  // by value: the own place, then copies
  // By slot: what lies there, or lay there once; values that are read no more may be
  // missing, others may be named twice.
  std::vector<std::vector<ValueId>> values_in_;
  std::vector<int> reads_left_;    // by value, of operations not lowered yet
  std::vector<Slice> slices_;      // by value
  std::vector<Located> reserved_;  // by value: of concatenations
  std::vector<bool> wants_floats_, wants_bytes_;          // by value
  std::vector<std::optional<ImageView>> bytes_;           // by value: where it lies as u8
  std::vector<std::optional<ImageView>> reserved_bytes_;  // by value: of concatenations
};

}  // namespace oriel::engine::onednn
