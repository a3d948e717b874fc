#include <cmath>

#include "engine/affine.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops.h"
#include "engine/ops/elementwise.h"
#include "engine/ref/kernels.h"
#include "engine/rewrite.h"

namespace oriel::engine {
namespace {

constexpr OpType kScaleShift = {kScaleShiftOp, nullptr, ref::ScaleShift,
                                onednn::LowerScaleShift, false};

class ScaleFuser {
 public:
  explicit ScaleFuser(Ir& ir) : ir_(ir), uses_(ir.CountUses()) {
    reader_.assign(ir_.values.size(), -1);
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      for (const ValueId input : ir_.ops[i].inputs) reader_[input] = static_cast<int>(i);
    }
  }

  void Run() {
    std::vector<bool> absorbed(ir_.ops.size(), false);
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      if (absorbed[i]) continue;
      const std::vector<size_t> chain = FindChain(i);
      if (chain.empty()) continue;
      for (size_t k = 0; k + 1 < chain.size(); ++k) absorbed[chain[k]] = true;
      ir_.ops[chain.back()] = Fused(chain);
    }
    std::vector<Op> kept;
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      if (!absorbed[i]) kept.push_back(std::move(ir_.ops[i]));
    }
    ir_.ops = std::move(kept);
  }

 private:
  // The value that `op` scales and shifts.
  ValueId ScaledBy(const Op& op) const {
    if (op.outputs.size() != 1 || op.epilogue.activation) return kNoValue;
    for (const ValueId input : op.inputs) {
      const Value& value = ir_.values[input];
      if (value.constant != nullptr || value.dtype != DType::kFloat32) continue;
      return value.shape.rank() > 0 && AffineOf(ir_, op, input) ? input : kNoValue;
    }
    return kNoValue;
  }

  // The operation that alone reads what `op` makes; -1.
  int OnlyReader(const Op& op) const {
    return uses_[op.outputs[0]] == 1 ? reader_[op.outputs[0]] : -1;
  }

  bool IsClamp(const Op& op) const {
    return op.type->ref == ref::Unary &&
           (op.attrs_as<UnaryAttrs>().function.kind == UnaryKind::kRelu ||
            op.attrs_as<UnaryAttrs>().function.kind == UnaryKind::kRelu6);
  }

  // Operations that follow each other and are better one: at least two.
  std::vector<size_t> FindChain(size_t first) const {
    if (ScaledBy(ir_.ops[first]) == kNoValue) return {};
    std::vector<size_t> chain = {first};
    for (;;) {
      const int next = OnlyReader(ir_.ops[chain.back()]);
      if (next < 0) break;
      if (IsClamp(ir_.ops[next])) {
        chain.push_back(next);
        break;
      }
      if (ScaledBy(ir_.ops[next]) != ir_.ops[chain.back()].outputs[0]) break;
      chain.push_back(next);
    }
    if (chain.size() < 2) chain.clear();
    return chain;
  }

  Op Fused(const std::vector<size_t>& chain) {
    const Op& last = ir_.ops[chain.back()];
    const ValueId src = ScaledBy(ir_.ops[chain.front()]);
    const int64_t channels = ir_.values[src].shape.dim(-1);
    std::vector<double> scale(channels, 1), shift(channels, 0);
    std::vector<std::string> keys;
    Op fused{.type = &kScaleShift, .name = last.name, .outputs = last.outputs};
    ValueId at = src;
    for (const size_t i : chain) {
      const Op& op = ir_.ops[i];
      if (IsClamp(op)) {
        fused.epilogue.activation = op.attrs_as<UnaryAttrs>().function;
        break;
      }
      const Affine affine = *AffineOf(ir_, op, at);
      for (int64_t c = 0; c < channels; ++c) {
        if (!affine.scale.empty()) {
          scale[c] *= affine.scale[c];
          shift[c] *= affine.scale[c];
        }
        if (!affine.shift.empty()) shift[c] += affine.shift[c];
      }
      keys.insert(keys.end(), affine.keys.begin(), affine.keys.end());
      keys.push_back(op.name);
      at = op.outputs[0];
    }
    fused.inputs = {src, AddVector(last.name + "/scale", keys, scale),
                    AddVector(last.name + "/shift", keys, shift)};
    return fused;
  }

  ValueId AddVector(const std::string& name, const std::vector<std::string>& keys,
                    const std::vector<double>& values) {
    const std::vector<float> rounded(values.begin(), values.end());
    const Shape shape{static_cast<int64_t>(rounded.size())};
    return ir_.AddValue({.name = name,
                         .dtype = DType::kFloat32,
                         .shape = shape,
                         .constant = std::make_shared<const Constant>(
                             DerivedKey(name, keys), Tensor::Of<float>(shape, rounded))});
  }

  Ir& ir_;
  std::vector<int> uses_;
  std::vector<int> reader_;  // by value: an operation that reads it
};

}  // namespace

void FuseScales(Ir& ir) { ScaleFuser(ir).Run(); }

}  // namespace oriel::engine
