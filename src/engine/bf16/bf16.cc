#include "engine/bf16/bf16.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "engine/bf16/rounding.h"
#include "engine/onednn/library.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/matmul.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

constexpr OpType kRound = {kRoundToBf16, nullptr, ref::RoundToBf16,
                           onednn::LowerRoundToBf16, false};

bool Is(const Op& op, std::string_view name) { return name == op.type->name; }

bool IsReshape(const Op& op) { return op.type->ref == nullptr; }

bool IsImage(const Value& value) {
  return value.dtype == DType::kFloat32 && value.shape.rank() == 4;
}

Tensor Rounded(const Tensor& weights) {
  Tensor rounded = weights.Clone();
  for (float& v : rounded.mutable_data<float>()) v = RoundToBf16(v);
  return rounded;
}

ValueId RoundConstant(Ir& ir, ValueId id) {
  const Value weights = ir.values[id];
  const std::string name = weights.name + "/bf16";
  auto constant = std::make_shared<const Constant>(
      DerivedKey(name, std::vector{weights.constant->key()}),
      [of = weights.constant] { return Rounded(of->MakeTensor()); });
  return ir.AddValue({.name = name,
                      .dtype = DType::kFloat32,
                      .shape = weights.shape,
                      .constant = std::move(constant)});
}

Op RoundOp(std::string name, ValueId src, ValueId dst) {
  return {.type = &kRound, .name = std::move(name), .inputs = {src}, .outputs = {dst}};
}

// Picks numbers among those that it reads, or turns their signs.
bool KeepsRounded(const Ir& ir, const Op& op) {
  if (Is(op, kRoundToBf16)) return true;
  const auto* const unary = dynamic_cast<const UnaryAttrs*>(op.attrs.get());
  const bool picks = op.type->ref == ref::Concat || op.type->ref == ref::Split ||
                     op.type->ref == ref::Slice || op.type->ref == ref::Transpose ||
                     Is(op, "MaxPool") ||
                     (unary != nullptr && (unary->function.kind == UnaryKind::kRelu ||
                                           unary->function.kind == UnaryKind::kNeg));
  return picks && std::ranges::all_of(op.inputs, [&](ValueId id) {
           const Value& value = ir.values[id];
           return value.bf16 || value.dtype != DType::kFloat32;
         });
}

}  // namespace

bool IsBf16Product(const Ir& ir, const Op& op) {
  if (!Is(op, "Conv2D") && !Is(op, "DepthwiseConv2dNative") && !Is(op, "MatMul")) {
    return false;
  }
  if (Is(op, "MatMul") && op.attrs_as<MatMulAttrs>().transpose_a) return false;
  const Value &src = ir.values[op.inputs[0]], &weights = ir.values[op.inputs[1]];
  return weights.constant != nullptr && weights.dtype == DType::kFloat32 &&
         src.dtype == DType::kFloat32;
}

void UseBf16(Ir& ir) {
  std::vector<Op> ops;
  std::map<ValueId, ValueId> rounded;  // what had to be rounded to be read
  for (Op& op : ir.ops) {
    const bool product = IsBf16Product(ir, op);
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const ValueId id = op.inputs[i];
      const Value value = ir.values[id];
      const bool image = IsImage(value) && value.constant == nullptr;
      if (value.bf16 || !(image || (product && i == 0))) continue;
      const auto [it, is_new] = rounded.emplace(id, kNoValue);
      if (is_new) {
        const std::string name = value.name + "/bf16";
        it->second = ir.AddValue(
            {.name = name, .dtype = DType::kFloat32, .shape = value.shape, .bf16 = true});
        ops.push_back(RoundOp(name, id, it->second));
      }
      op.inputs[i] = it->second;
    }
    if (product) op.inputs[1] = RoundConstant(ir, op.inputs[1]);
    for (const ValueId id : op.outputs) {
      // A change of shape stores nothing.
      ir.values[id].bf16 =
          IsReshape(op) ? ir.values[op.inputs[0]].bf16 : IsImage(ir.values[id]);
    }
    ops.push_back(std::move(op));
  }
  ir.ops = std::move(ops);
}

void SimulateBf16(Ir& ir) {
  std::vector<Op> ops;
  for (Op& op : ir.ops) {
    std::vector<Op> after;
    if (!IsReshape(op) && !KeepsRounded(ir, op)) {
      for (ValueId& id : op.outputs) {
        const Value value = ir.values[id];
        if (!value.bf16) continue;
        const ValueId exact = ir.AddValue(
            {.name = value.name + "/exact", .dtype = value.dtype, .shape = value.shape});
        after.push_back(RoundOp(value.name + "/bf16", exact, id));
        id = exact;
      }
    }
    ops.push_back(std::move(op));
    std::ranges::move(after, std::back_inserter(ops));
  }
  ir.ops = std::move(ops);
  for (Value& value : ir.values) value.bf16 = false;
}

Bf16Support FindBf16Support() { return onednn::FindBf16Support(); }

std::string_view Bf16Caveat() {
  switch (FindBf16Support()) {
    case Bf16Support::kNone:
      return "bf16: this CPU has no bf16 arithmetic: simulated in float32, no faster";
    case Bf16Support::kEmulated:
      return "bf16: this CPU has no bf16 arithmetic: weights and images are stored so, "
             "computed in float32, no faster";
    case Bf16Support::kVectors:
    case Bf16Support::kTiles:
      return "";
  }
  std::abort();
}

}  // namespace oriel::engine
