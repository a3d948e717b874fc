// Functions of one and two numbers, softmax, local response normalization.

#include "engine/ops/elementwise.h"

#include <optional>

#include "engine/onednn/lowering.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops/lrn.h"
#include "engine/quantize/quantize.h"

namespace oriel::engine::onednn {
namespace {

using dnnl::memory;

std::optional<dnnl::algorithm> Algorithm(BinaryKind kind) {
  switch (kind) {
    case BinaryKind::kAdd:
      return dnnl::algorithm::binary_add;
    case BinaryKind::kSub:
      return dnnl::algorithm::binary_sub;
    case BinaryKind::kMul:
      return dnnl::algorithm::binary_mul;
    case BinaryKind::kDiv:
      return dnnl::algorithm::binary_div;
    case BinaryKind::kMax:
      return dnnl::algorithm::binary_max;
    case BinaryKind::kMin:
      return dnnl::algorithm::binary_min;
    default:  // by the reference's loop
      return std::nullopt;
  }
}

}  // namespace

absl::StatusOr<bool> LowerUnary(Lowering& lowering, const Op& op) {
  const auto eltwise = Lowering::FindEltwise(op.attrs_as<UnaryAttrs>().function);
  if (!eltwise) return false;
  ASSIGN_OR_RETURN(const Located src,
                   lowering.Get(op.inputs[0], lowering.TypeOf(op.outputs[0])));
  const auto desc =
      dnnl::eltwise_forward::desc(dnnl::prop_kind::forward_inference, eltwise->algorithm,
                                  src.desc, eltwise->alpha, eltwise->beta);
  const dnnl::eltwise_forward::primitive_desc primitive(desc, Lowering::NewAttr(),
                                                        CpuEngine());
  const SlotId to = lowering.PlaceLike(op.outputs[0], src);
  lowering.AddPrimitive(op, dnnl::eltwise_forward(primitive), primitive.scratchpad_desc(),
                        {{{DNNL_ARG_SRC, src.desc}, src.slot}},
                        {{{DNNL_ARG_DST, src.desc}, to}});
  return true;
}

absl::StatusOr<bool> LowerBinary(Lowering& lowering, const Op& op) {
  const BinaryKind kind = op.attrs_as<BinaryAttrs>().kind;
  const auto algorithm = Algorithm(kind);
  if (!algorithm) return false;
  const Shape& dst_shape = lowering.shape(op.outputs[0]);
  ValueId left = op.inputs[0], right = op.inputs[1];
  // The left one has to be whole, and is better computed than constant.
  const bool commutes = kind != BinaryKind::kSub && kind != BinaryKind::kDiv;
  const bool left_whole = lowering.shape(left) == dst_shape;
  const bool right_whole = lowering.shape(right) == dst_shape;
  const bool left_constant = lowering.value(left).constant != nullptr;
  if (commutes && right_whole && (!left_whole || left_constant)) std::swap(left, right);
  if (lowering.shape(left) != dst_shape) return false;
  // Images have the result's type, constants stay float32.
  const memory::data_type type = lowering.TypeOf(op.outputs[0]);
  Located a, b;
  if (lowering.value(left).constant != nullptr) {
    ASSIGN_OR_RETURN(a, lowering.Get(left));
  } else {
    ASSIGN_OR_RETURN(a, lowering.Get(left, type));
  }
  const memory::desc dst = Lowering::WithType(a.desc, type);
  if (lowering.shape(right) == dst_shape) {
    const bool constant = lowering.value(right).constant != nullptr;
    const memory::desc floats = Lowering::WithType(dst, memory::data_type::f32);
    ASSIGN_OR_RETURN(b, lowering.Get(right, constant ? floats : dst));
  } else {
    ASSIGN_OR_RETURN(b, lowering.GetPlain(right));
    std::vector<int64_t> dims = lowering.shape(right).dims();
    dims.insert(dims.begin(), dst_shape.rank() - dims.size(), 1);
    b.desc = Lowering::PlainDesc(Shape(std::move(dims)));
  }
  const dnnl::binary::primitive_desc primitive(
      dnnl::binary::desc(*algorithm, a.desc, b.desc, dst), Lowering::NewAttr(),
      CpuEngine());
  const SlotId to = dst == a.desc ? lowering.PlaceLike(op.outputs[0], a)
                                  : lowering.Define(op.outputs[0], dst);
  lowering.AddPrimitive(
      op, dnnl::binary(primitive), primitive.scratchpad_desc(),
      {{{DNNL_ARG_SRC_0, a.desc}, a.slot}, {{DNNL_ARG_SRC_1, b.desc}, b.slot}},
      {{{DNNL_ARG_DST, dst}, to}});
  return true;
}

// Number by number, wherever they lie: padding of a layout stays zero.
absl::StatusOr<bool> LowerFakeQuantize(Lowering& lowering, const Op& op) {
  ASSIGN_OR_RETURN(const Located src, lowering.Get(op.inputs[0]));
  const SlotId dst = lowering.PlaceLike(op.outputs[0], src);
  lowering.AddKernel(
      op,
      MakeFakeQuantizeKernel(op.attrs_as<FakeQuantizeAttrs>().quantization,
                             static_cast<int64_t>(src.desc.get_size() / sizeof(float))),
      {src.slot}, {dst});
  return true;
}

absl::StatusOr<bool> LowerLrn(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<LrnAttrs>();
  const int64_t size = 2 * attrs.radius + 1;
  ASSIGN_OR_RETURN(const Located src,
                   lowering.Get(op.inputs[0], lowering.TypeOf(op.outputs[0])));
  const auto desc = dnnl::lrn_forward::desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::lrn_across_channels, src.desc,
      size, attrs.alpha * static_cast<float>(size), attrs.beta, attrs.bias);
  const dnnl::lrn_forward::primitive_desc primitive(desc, Lowering::NewAttr(),
                                                    CpuEngine());
  const SlotId to = lowering.Define(op.outputs[0], primitive.dst_desc());
  lowering.AddPrimitive(op, dnnl::lrn_forward(primitive), primitive.scratchpad_desc(),
                        {{{DNNL_ARG_SRC, src.desc}, src.slot}},
                        {{{DNNL_ARG_DST, primitive.dst_desc()}, to}});
  return true;
}

absl::StatusOr<bool> LowerSoftmax(Lowering& lowering, const Op& op) {
  ASSIGN_OR_RETURN(const Located src, lowering.GetPlain(op.inputs[0]));
  const Shape& shape = lowering.shape(op.inputs[0]);
  const auto desc =
      dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, src.desc,
                                  Lowering::LogicalAxis(shape, shape.rank() - 1));
  const dnnl::softmax_forward::primitive_desc primitive(desc, Lowering::NewAttr(),
                                                        CpuEngine());
  const SlotId to = lowering.PlaceLike(op.outputs[0], src);
  lowering.AddPrimitive(op, dnnl::softmax_forward(primitive), primitive.scratchpad_desc(),
                        {{{DNNL_ARG_SRC, src.desc}, src.slot}},
                        {{{DNNL_ARG_DST, src.desc}, to}});
  return true;
}

}  // namespace oriel::engine::onednn
