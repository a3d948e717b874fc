// Convolutions of constant weights, with their epilogue.

#include "engine/ops/conv.h"

#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;

// The filter's logical dimensions: [out,in,kh,kw], with groups
// [groups,out/groups,in/groups,kh,kw].
struct Filter {
  memory::dims dims;
  memory::dims strides;  // of the row-major [kh,kw,in/groups,out]
};

Filter Describe(const ConvAttrs& attrs, const Shape& filter) {
  const int64_t kh = filter.dim(0), kw = filter.dim(1);
  // Depthwise, [kh,kw,C,M] is [kh,kw,1,C*M].
  const int64_t in = attrs.depthwise ? 1 : filter.dim(2);
  const int64_t out = attrs.depthwise ? filter.dim(2) * filter.dim(3) : filter.dim(3);
  const int64_t row = kw * in * out;
  if (attrs.groups == 1) return {{out, in, kh, kw}, {1, out, row, in * out}};
  const int64_t group_out = out / attrs.groups;
  return {{attrs.groups, group_out, in, kh, kw}, {group_out, 1, out, row, in * out}};
}

}  // namespace

absl::StatusOr<bool> LowerConv(Lowering& lowering, const Op& op) {
  if (lowering.value(op.inputs[1]).constant == nullptr) return false;
  ASSIGN_OR_RETURN(const bool own, LowerOwnConv(lowering, op));
  if (own) return true;
  const auto& attrs = op.attrs_as<ConvAttrs>();
  const WindowAxis &h = attrs.window.h, &w = attrs.window.w;
  const Shape& dst_shape = lowering.shape(op.outputs[0]);
  constexpr auto kF32 = memory::data_type::f32;

  const Filter filter = Describe(attrs, lowering.shape(op.inputs[1]));
  const memory::desc plain_filter(filter.dims, kF32, filter.strides);
  const memory::data_type type = lowering.TypeOf(op.inputs[0]);
  const memory::desc any_filter(filter.dims, type, memory::format_tag::any);
  const memory::desc src = lowering.AnyDesc(lowering.shape(op.inputs[0]), type);
  const memory::desc dst = lowering.AnyDesc(dst_shape, lowering.TypeOf(op.outputs[0]));
  const memory::desc bias({dst_shape.dim(3)}, kF32, memory::format_tag::a);
  const bool has_bias = op.epilogue.bias >= 0;
  const bool has_residual = op.epilogue.residual >= 0;

  dnnl::primitive_attr attr = Lowering::NewAttr();
  dnnl::post_ops post_ops;
  if (has_residual) post_ops.append_sum(1.0f);
  if (op.epilogue.activation) {
    Lowering::AppendActivation(*op.epilogue.activation, post_ops);
  }
  attr.set_post_ops(post_ops);

  // Direct sums at every precision: which layers may use Winograd's is for whoever
  // bounds their error to say.
  const auto desc = dnnl::convolution_forward::desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src,
      any_filter, has_bias ? bias : memory::desc(), dst, {h.stride, w.stride},
      {h.dilation - 1, w.dilation - 1}, {h.pad_before, w.pad_before},
      {h.pad_after, w.pad_after});
  const dnnl::convolution_forward::primitive_desc primitive(desc, attr, CpuEngine());

  ASSIGN_OR_RETURN(const Located image, lowering.Get(op.inputs[0], primitive.src_desc()));
  ASSIGN_OR_RETURN(const SlotId weights, lowering.PackConstant(op.inputs[1], plain_filter,
                                                               primitive.weights_desc()));
  std::vector<std::pair<PrimitiveArg, SlotId>> inputs = {
      {{DNNL_ARG_SRC, primitive.src_desc()}, image.slot},
      {{DNNL_ARG_WEIGHTS, primitive.weights_desc()}, weights}};
  if (has_bias) {
    ASSIGN_OR_RETURN(const Located located, lowering.Get(op.inputs[op.epilogue.bias]));
    inputs.push_back({{DNNL_ARG_BIAS, bias}, located.slot});
  }
  SlotId to;
  if (has_residual) {
    // The sum is taken in place.
    ASSIGN_OR_RETURN(to, lowering.GetForOverwriting(op.inputs[op.epilogue.residual],
                                                    primitive.dst_desc()));
    lowering.DefineIn(op.outputs[0], to, primitive.dst_desc());
  } else {
    to = lowering.Define(op.outputs[0], primitive.dst_desc());
  }
  lowering.AddPrimitive(op, dnnl::convolution_forward(primitive),
                        primitive.scratchpad_desc(), std::move(inputs),
                        {{{DNNL_ARG_DST, primitive.dst_desc()}, to}});
  return true;
}

}  // namespace oriel::engine::onednn
