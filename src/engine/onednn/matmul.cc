// Matrix products: constant weights are packed and take an epilogue.

#include "engine/ops/matmul.h"

#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;
constexpr auto kF32 = memory::data_type::f32;

absl::StatusOr<bool> LowerInnerProduct(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<MatMulAttrs>();
  const int64_t m = attrs.m, n = attrs.n, k = attrs.k;
  const memory::desc plain_weights(
      {n, k}, kF32, attrs.transpose_b ? memory::dims{k, 1} : memory::dims{1, n});
  const memory::data_type type = lowering.TypeOf(op.inputs[0]);
  const memory::desc any_weights({n, k}, type, memory::format_tag::any);
  const memory::desc src = Lowering::PlainDesc(Shape{m, k}, type);
  const memory::desc dst = Lowering::PlainDesc(Shape{m, n});
  const memory::desc bias({n}, kF32, memory::format_tag::a);
  const bool has_bias = op.epilogue.bias >= 0;
  const bool has_residual = op.epilogue.residual >= 0;

  dnnl::primitive_attr attr = Lowering::NewAttr();
  dnnl::post_ops post_ops;
  if (has_residual) post_ops.append_sum(1.0f);
  if (op.epilogue.activation) {
    Lowering::AppendActivation(*op.epilogue.activation, post_ops);
  }
  attr.set_post_ops(post_ops);
  const auto desc = dnnl::inner_product_forward::desc(
      dnnl::prop_kind::forward_inference, src, any_weights,
      has_bias ? bias : memory::desc(), dst);
  const dnnl::inner_product_forward::primitive_desc primitive(desc, attr, CpuEngine());

  ASSIGN_OR_RETURN(const Located a, lowering.Get(op.inputs[0], src));
  ASSIGN_OR_RETURN(
      const SlotId weights,
      lowering.PackConstant(op.inputs[1], plain_weights, primitive.weights_desc()));
  std::vector<std::pair<PrimitiveArg, SlotId>> inputs = {
      {{DNNL_ARG_SRC, src}, a.slot},
      {{DNNL_ARG_WEIGHTS, primitive.weights_desc()}, weights}};
  if (has_bias) {
    ASSIGN_OR_RETURN(const Located located, lowering.Get(op.inputs[op.epilogue.bias]));
    inputs.push_back({{DNNL_ARG_BIAS, bias}, located.slot});
  }
  SlotId to;
  if (has_residual) {
    ASSIGN_OR_RETURN(to,
                     lowering.GetForOverwriting(op.inputs[op.epilogue.residual], dst));
    lowering.DefineIn(op.outputs[0], to, dst);
  } else {
    to = lowering.Define(op.outputs[0], dst);
  }
  lowering.AddPrimitive(op, dnnl::inner_product_forward(primitive),
                        primitive.scratchpad_desc(), std::move(inputs),
                        {{{DNNL_ARG_DST, dst}, to}});
  return true;
}

}  // namespace

absl::StatusOr<bool> LowerMatMul(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<MatMulAttrs>();
  const bool packed = lowering.value(op.inputs[1]).constant != nullptr;
  if (packed && !attrs.transpose_a) {
    ASSIGN_OR_RETURN(const bool own, LowerOwnMatMul(lowering, op));
    if (own) return true;
    return LowerInnerProduct(lowering, op);
  }
  const int64_t m = attrs.m, n = attrs.n, k = attrs.k;
  const memory::desc a({m, k}, kF32,
                       attrs.transpose_a ? memory::dims{1, m} : memory::dims{k, 1});
  const memory::desc b({k, n}, kF32,
                       attrs.transpose_b ? memory::dims{1, k} : memory::dims{n, 1});
  const memory::desc dst = Lowering::PlainDesc(Shape{m, n});
  const dnnl::matmul::primitive_desc primitive(dnnl::matmul::desc(a, b, dst),
                                               Lowering::NewAttr(), CpuEngine());
  ASSIGN_OR_RETURN(const Located left, lowering.GetPlain(op.inputs[0]));
  ASSIGN_OR_RETURN(const Located right, lowering.GetPlain(op.inputs[1]));
  const SlotId to = lowering.Define(op.outputs[0], dst);
  lowering.AddPrimitive(
      op, dnnl::matmul(primitive), primitive.scratchpad_desc(),
      {{{DNNL_ARG_SRC, a}, left.slot}, {{DNNL_ARG_WEIGHTS, b}, right.slot}},
      {{{DNNL_ARG_DST, dst}, to}});
  return true;
}

}  // namespace oriel::engine::onednn
