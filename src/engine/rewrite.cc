#include "engine/rewrite.h"

#include <algorithm>
#include <cmath>

#include "engine/onednn/lowerings.h"
#include "engine/ops.h"
#include "engine/ops/array_ops.h"
#include "engine/ops/conv.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/pool.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

constexpr OpType Function(const char* name) {
  return {name, nullptr, ref::Unary, onednn::LowerUnary, true};
}
constexpr OpType kHardSigmoid = Function(kHardSigmoidOp);
constexpr OpType kHardSwish = Function(kHardSwishOp);
constexpr OpType kSwish = Function(kSwishOp);

bool Is(const Op* op, std::initializer_list<std::string_view> names) {
  return op != nullptr && std::ranges::find(names, op->type->name) != names.end();
}

class Rewriter {
 public:
  explicit Rewriter(Ir& ir)
      : ir_(ir), uses_(ir.CountUses()), made_by_(ir.values.size()) {}

  void Run() {
    for (Op& op : ir_.ops) {
      if (Is(&op, {"Mul", "RealDiv"})) {
        RewriteProduct(op);
      } else if (Is(&op, {"Conv2D", "DepthwiseConv2dNative"})) {
        TakePadding<ConvAttrs>(op);
      } else if (Is(&op, {"MaxPool"}) && IsNotNegative(PaddedBy(op))) {
        TakePadding<PoolAttrs>(op);
      }
      for (const ValueId output : op.outputs) made_by_[output] = &op;
    }
    ir_.RemoveDeadOps();
  }

 private:
  const Op* Maker(ValueId id) const { return made_by_[id]; }
  // Where only one operation reads the value.
  const Op* OnlyReadMaker(ValueId id) const {
    return uses_[id] == 1 ? made_by_[id] : nullptr;
  }

  // The value is one number, near this one.
  bool IsNumber(ValueId id, double number) const {
    const Value& value = ir_.values[id];
    return value.constant != nullptr && value.dtype == DType::kFloat32 &&
           value.shape.elements() == 1 &&
           std::abs(value.constant->tensor().data<float>()[0] - number) <
               1e-6 * std::abs(number);
  }

  void Become(Op& op, const OpType& type, UnaryKind kind, ValueId input) {
    UnaryAttrs attrs;
    attrs.function.kind = kind;
    op.type = &type;
    op.attrs = std::make_shared<const UnaryAttrs>(attrs);
    op.inputs = {input};
  }

  // The result has the shape of x: nothing was broadcast.
  bool KeepsShape(const Op& op, ValueId x) const {
    return ir_.values[op.outputs[0]].shape == ir_.values[x].shape;
  }

  // x where `id` is relu6(x + 3) that one operation reads.
  ValueId ShiftedRelu6(ValueId id) const {
    const Op* const relu = OnlyReadMaker(id);
    if (!Is(relu, {"Relu6"})) return kNoValue;
    const Op* const sum = OnlyReadMaker(relu->inputs[0]);
    if (!Is(sum, {"Add", "AddV2"})) return kNoValue;
    for (const int side : {0, 1}) {
      const ValueId x = sum->inputs[side];
      if (IsNumber(sum->inputs[1 - side], 3) && KeepsShape(*sum, x)) return x;
    }
    return kNoValue;
  }

  void RewriteProduct(Op& op) {
    if (ir_.values[op.outputs[0]].dtype != DType::kFloat32) return;
    const bool divides = Is(&op, {"RealDiv"});
    for (const int side : {0, 1}) {
      const ValueId a = op.inputs[side], b = op.inputs[1 - side];
      if (!KeepsShape(op, a) || (divides && side == 1)) continue;
      if (IsNumber(b, divides ? 6.0 : 1.0 / 6)) {
        if (RewriteSixth(op, a)) return;
      } else if (!divides && RewriteGate(op, a, b)) {
        return;
      }
    }
  }

  // op is a / 6.
  bool RewriteSixth(Op& op, ValueId a) {
    if (const ValueId x = ShiftedRelu6(a); x != kNoValue) {
      Become(op, kHardSigmoid, UnaryKind::kHardSigmoid, x);
      return true;
    }
    const Op* const product = OnlyReadMaker(a);
    if (!Is(product, {"Mul"})) return false;
    for (const int side : {0, 1}) {
      const ValueId x = product->inputs[side];
      if (x != kNoValue && ShiftedRelu6(product->inputs[1 - side]) == x) {
        Become(op, kHardSwish, UnaryKind::kHardSwish, x);
        return true;
      }
    }
    return false;
  }

  // op is x * gate.
  bool RewriteGate(Op& op, ValueId x, ValueId gate) {
    const Op* const maker = OnlyReadMaker(gate);
    if (maker == nullptr || maker->inputs.empty() || maker->inputs[0] != x) return false;
    if (Is(maker, {"Sigmoid"})) {
      Become(op, kSwish, UnaryKind::kSwish, x);
      return true;
    }
    if (maker->type == &kHardSigmoid) {
      Become(op, kHardSwish, UnaryKind::kHardSwish, x);
      return true;
    }
    return false;
  }

  // What pads the image that op reads with zeros along height and width; or null.
  const Op* PaddedBy(const Op& op) const {
    const Op* const pad = Maker(op.inputs[0]);
    if (!Is(pad, {"Pad", "PadV2"})) return nullptr;
    const Value &src = ir_.values[pad->inputs[0]], &dst = ir_.values[pad->outputs[0]];
    const bool image = src.dtype == DType::kFloat32 && src.shape.rank() == 4 &&
                       src.shape.dim(0) == dst.shape.dim(0) &&
                       src.shape.dim(3) == dst.shape.dim(3) && src.shape.elements() > 0;
    if (!image) return nullptr;
    if (pad->inputs.size() > 1 && !IsZero(pad->inputs[1])) return nullptr;
    return pad;
  }

  bool IsZero(ValueId id) const {
    const Value& value = ir_.values[id];
    return value.constant != nullptr && value.constant->tensor().data<float>()[0] == 0;
  }

  bool IsNotNegative(const Op* pad) const {
    return pad != nullptr && Is(Maker(pad->inputs[0]), {"Relu", "Relu6", "Sigmoid"});
  }

  template <typename Attrs>
  void TakePadding(Op& op) {
    const Op* const pad = PaddedBy(op);
    if (pad == nullptr) return;
    const std::vector<int64_t>& before = pad->attrs_as<PadAttrs>().before;
    const Shape& src = ir_.values[pad->inputs[0]].shape;
    auto attrs = std::make_shared<Attrs>(op.attrs_as<Attrs>());
    WindowAxis* const axes[] = {&attrs->window.h, &attrs->window.w};
    for (int i = 0; i < 2; ++i) {
      WindowAxis& axis = *axes[i];
      const int64_t after = axis.src - src.dim(1 + i) - before[1 + i];
      axis.src = src.dim(1 + i);
      axis.pad_before += before[1 + i];
      axis.pad_after += after;
      // Each window keeps a cell of the image, and none has more padding than that.
      if (axis.pad_before >= axis.extent() || axis.pad_after >= axis.extent()) return;
    }
    op.attrs = std::move(attrs);
    --uses_[op.inputs[0]];
    op.inputs[0] = pad->inputs[0];
    ++uses_[op.inputs[0]];
  }

  Ir& ir_;
  std::vector<int> uses_;
  std::vector<const Op*> made_by_;  // by value; null: fed or constant
};

}  // namespace

void RewriteOps(Ir& ir) { Rewriter(ir).Run(); }

}  // namespace oriel::engine
