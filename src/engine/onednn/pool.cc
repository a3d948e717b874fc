// Pooling, and the mean over the whole image, which is one window.

#include "engine/ops/pool.h"

#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops/reduce.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;

// Adds the step; the result has the image's layout and shape `dst_shape`.
absl::StatusOr<Located> AddPool(Lowering& lowering, const Op& op, const Window& window,
                                bool average, const Shape& dst_shape) {
  const WindowAxis &h = window.h, &w = window.w;
  // oneDNN's pools read and write one type.
  const memory::data_type type = lowering.TypeOf(op.outputs[0]);
  ASSIGN_OR_RETURN(const Located src, lowering.Get(op.inputs[0], type));
  const auto desc = dnnl::pooling_forward::desc(
      dnnl::prop_kind::forward_inference,
      average ? dnnl::algorithm::pooling_avg_exclude_padding
              : dnnl::algorithm::pooling_max,
      src.desc, lowering.AnyDesc(dst_shape, type), {h.stride, w.stride}, {h.size, w.size},
      {h.pad_before, w.pad_before}, {h.pad_after, w.pad_after});
  const dnnl::pooling_forward::primitive_desc primitive(desc, Lowering::NewAttr(),
                                                        CpuEngine());
  const Located dst{lowering.Define(op.outputs[0], primitive.dst_desc()),
                    primitive.dst_desc()};
  lowering.AddPrimitive(op, dnnl::pooling_forward(primitive), primitive.scratchpad_desc(),
                        {{{DNNL_ARG_SRC, src.desc}, src.slot}},
                        {{{DNNL_ARG_DST, dst.desc}, dst.slot}});
  return dst;
}

}  // namespace

absl::StatusOr<bool> LowerPool(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<PoolAttrs>();
  ASSIGN_OR_RETURN(const bool own, LowerOwnPool(lowering, op, attrs.window, attrs.average,
                                                op.outputs[0]));
  if (own) return true;
  ASSIGN_OR_RETURN(const Located dst, AddPool(lowering, op, attrs.window, attrs.average,
                                              lowering.shape(op.outputs[0])));
  (void)dst;
  return true;
}

absl::StatusOr<bool> LowerReduce(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<ReduceAttrs>();
  const Shape& src = lowering.shape(op.inputs[0]);
  if (attrs.kind != ReduceKind::kMean || src.rank() != 4) return false;
  const Shape dst_shape{src.dim(0), 1, 1, src.dim(3)};
  if (attrs.kept != dst_shape || attrs.reduced != Shape{1, src.dim(1), src.dim(2), 1}) {
    return false;
  }
  Window window;
  window.h = {.size = src.dim(1), .src = src.dim(1), .dst = 1};
  window.w = {.size = src.dim(2), .src = src.dim(2), .dst = 1};
  const Shape& out_shape = lowering.shape(op.outputs[0]);
  ASSIGN_OR_RETURN(const bool own,
                   LowerOwnPool(lowering, op, window, /*mean=*/true, op.outputs[0]));
  if (own) return true;
  ASSIGN_OR_RETURN(const Located dst,
                   AddPool(lowering, op, window, /*average=*/true, dst_shape));
  if (out_shape == dst_shape) return true;
  const memory::data_type type = lowering.TypeOf(op.outputs[0]);
  const Located plain =
      lowering.Reorder(op.name, dst, Lowering::PlainDesc(dst_shape, type));
  lowering.DefineIn(op.outputs[0], plain.slot, Lowering::PlainDesc(out_shape, type));
  return true;
}

}  // namespace oriel::engine::onednn
