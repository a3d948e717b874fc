// Concatenation.

#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops/array_ops.h"

namespace oriel::engine::onednn {

using dnnl::memory;

namespace {

// With more, the numbers of oneDNN's arguments run into those of others: the loop of the
// reference takes them.
constexpr size_t kMaxInputs = DNNL_ARG_MULTIPLE_DST - DNNL_ARG_MULTIPLE_SRC;

}  // namespace

absl::StatusOr<bool> LowerConcat(Lowering& lowering, const Op& op) {
  const Shape& dst_shape = lowering.shape(op.outputs[0]);
  if (lowering.own_kernels() != nullptr && lowering.IsConcatOfChannels(op)) {
    if (lowering.WantsBytes(op.outputs[0])) RETURN_IF_ERROR(lowering.ConcatBytes(op));
    if (!lowering.WantsFloats(op.outputs[0])) return true;
    const Located whole = lowering.ReserveConcat(op.outputs[0]);
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      RETURN_IF_ERROR(lowering.FillSlice(op, static_cast<int>(i), whole));
    }
    lowering.DefineIn(op.outputs[0], whole.slot, whole.desc);
    return true;
  }
  if (op.inputs.size() > kMaxInputs) return false;
  const int axis = Lowering::LogicalAxis(dst_shape, op.attrs_as<ConcatAttrs>().axis);
  std::vector<memory::desc> descs;
  std::vector<std::pair<PrimitiveArg, SlotId>> inputs;
  const memory::data_type type = lowering.TypeOf(op.outputs[0]);
  for (const ValueId id : op.inputs) {
    ASSIGN_OR_RETURN(const Located src, lowering.Get(id, type));
    const int arg = DNNL_ARG_MULTIPLE_SRC + static_cast<int>(descs.size());
    descs.push_back(src.desc);
    inputs.push_back({{arg, src.desc}, src.slot});
  }
  const dnnl::concat::primitive_desc primitive(lowering.AnyDesc(dst_shape, type), axis,
                                               descs, CpuEngine(), Lowering::NewAttr());
  const SlotId to = lowering.Define(op.outputs[0], primitive.dst_desc());
  lowering.AddPrimitive(op, dnnl::concat(primitive), primitive.scratchpad_desc(),
                        std::move(inputs), {{{DNNL_ARG_DST, primitive.dst_desc()}, to}});
  return true;
}

}  // namespace oriel::engine::onednn
