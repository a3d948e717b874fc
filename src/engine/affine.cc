#include "engine/affine.h"

#include <cmath>

#include "engine/ops.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/elementwise.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

// A constant that differs by channel at most, as one number for each channel.
std::optional<std::vector<float>> PerChannel(const Value& value, int64_t channels) {
  const Shape& shape = value.shape;
  const int64_t elements = shape.elements();
  const bool by_channel =
      elements == channels && shape.rank() > 0 && shape.dim(-1) == channels;
  if (!by_channel && elements != 1) return std::nullopt;
  const auto data = value.constant->tensor().data<float>();
  if (elements == 1) return std::vector<float>(channels, data[0]);
  return std::vector<float>(data.begin(), data.end());
}

std::optional<Affine> OfBatchNorm(const Ir& ir, const Op& op) {
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    if (ir.values[op.inputs[i]].constant == nullptr) return std::nullopt;
  }
  const auto data = [&](size_t input) {
    return ir.values[op.inputs[input]].constant->tensor().data<float>();
  };
  const auto offset = data(1), mean = data(2), variance = data(3);
  const double epsilon = op.attrs_as<BatchNormAttrs>().epsilon;
  Affine affine;
  for (size_t c = 0; c < offset.size(); ++c) {
    const double scale = (op.inputs.size() > 4 ? data(4)[c] : 1.0) /
                         std::sqrt(static_cast<double>(variance[c]) + epsilon);
    affine.scale.push_back(static_cast<float>(scale));
    affine.shift.push_back(static_cast<float>(offset[c] - mean[c] * scale));
  }
  for (size_t i = 1; i < op.inputs.size(); ++i) {
    affine.keys.push_back(ir.values[op.inputs[i]].constant->key());
  }
  return affine;
}

std::optional<Affine> OfBinary(const Ir& ir, const Op& op, ValueId input) {
  const bool left = op.inputs[0] == input;
  const Value& other = ir.values[op.inputs[left ? 1 : 0]];
  const Shape& shape = ir.values[input].shape;
  const BinaryKind kind = op.attrs_as<BinaryAttrs>().kind;
  if (other.constant == nullptr || other.dtype != DType::kFloat32 || shape.rank() < 1 ||
      ir.values[op.outputs[0]].shape != shape || (!left && kind == BinaryKind::kDiv)) {
    return std::nullopt;
  }
  const auto constant = PerChannel(other, shape.dim(-1));
  if (!constant) return std::nullopt;
  Affine affine;
  affine.keys.push_back(other.constant->key());
  switch (kind) {
    case BinaryKind::kAdd:
      affine.shift = *constant;
      return affine;
    case BinaryKind::kSub:  // dst - c, or c - dst
      affine.shift = *constant;
      if (left) {
        for (float& v : affine.shift) v = -v;
      } else {
        affine.scale.assign(constant->size(), -1.0f);
      }
      return affine;
    case BinaryKind::kMul:
      affine.scale = *constant;
      return affine;
    case BinaryKind::kDiv:
      for (const float v : *constant) affine.scale.push_back(1 / v);
      return affine;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Affine> AffineOf(const Ir& ir, const Op& op, ValueId input) {
  if (op.type->ref == ref::BatchNorm) {
    return op.inputs[0] == input ? OfBatchNorm(ir, op) : std::nullopt;
  }
  if (op.type->ref == ref::Binary) return OfBinary(ir, op, input);
  return std::nullopt;
}

}  // namespace oriel::engine
