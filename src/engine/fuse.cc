#include "engine/fuse.h"

#include "engine/affine.h"
#include "engine/ops.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/matmul.h"
#include "engine/rewrite.h"

namespace oriel::engine {
namespace {

bool Is(const Op& op, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string_view(op.type->name) == name) return true;
  }
  return false;
}

class Fuser {
 public:
  explicit Fuser(Ir& ir) : ir_(ir) {}

  void Run() {
    IndexUses();
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      if (!absorbed_[i] && CanAbsorb(ir_.ops[i])) FuseChain(i);
    }
    std::vector<Op> kept;
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      if (!absorbed_[i]) kept.push_back(std::move(ir_.ops[i]));
    }
    ir_.ops = std::move(kept);
  }

 private:
  void IndexUses() {
    uses_ = ir_.CountUses();
    reader_.assign(ir_.values.size(), -1);
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      for (const ValueId input : ir_.ops[i].inputs) reader_[input] = static_cast<int>(i);
    }
    absorbed_.assign(ir_.ops.size(), false);
  }

  const Value& value(ValueId id) const { return ir_.values[id]; }
  bool IsConstant(ValueId id) const { return value(id).constant != nullptr; }

  bool CanAbsorb(const Op& op) const {
    // A transposed left matrix is for training: its kernel takes no epilogue.
    if (Is(op, {"MatMul"}) && op.attrs_as<MatMulAttrs>().transpose_a) return false;
    return Is(op, {"Conv2D", "DepthwiseConv2dNative", "MatMul"}) &&
           IsConstant(op.inputs[1]) && value(op.outputs[0]).shape.elements() > 0;
  }

  // Absorbs the operations after ops[start], one at a time. What is fused runs
  // where the last of them stood: only there are all its inputs computed.
  void FuseChain(size_t start) {
    size_t at = start;
    while (uses_[ir_.ops[at].outputs[0]] == 1) {
      const int next = reader_[ir_.ops[at].outputs[0]];
      if (next < 0 || !Absorb(ir_.ops[at], ir_.ops[next])) return;  // -1: an output
      Op fused = std::move(ir_.ops[at]);
      absorbed_[at] = true;
      fused.name = ir_.ops[next].name;
      fused.outputs = ir_.ops[next].outputs;
      for (const ValueId input : fused.inputs) {
        if (reader_[input] == static_cast<int>(at)) reader_[input] = next;
      }
      ir_.ops[next] = std::move(fused);
      at = static_cast<size_t>(next);
    }
  }

  bool Absorb(Op& op, const Op& next) {
    if (op.epilogue.activation) return false;
    if (Is(next, {"Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh", kSwishOp,
                  kHardSwishOp})) {
      op.epilogue.activation = next.attrs_as<UnaryAttrs>().function;
      return true;
    }
    if (op.epilogue.residual >= 0) return false;
    if (auto affine = AffineOf(ir_, next, op.outputs[0])) {
      Apply(op, next, *std::move(affine));
      return true;
    }
    return Is(next, {"Add", "AddV2"}) && AbsorbSum(op, next);
  }

  int64_t Channels(const Op& op) const { return value(op.outputs[0]).shape.dim(-1); }

  bool AbsorbSum(Op& op, const Op& next) {
    const bool left = next.inputs[0] == op.outputs[0];
    const ValueId other = next.inputs[left ? 1 : 0];
    const Shape& shape = value(op.outputs[0]).shape;
    if (IsConstant(other) || value(other).shape != shape ||
        value(next.outputs[0]).shape != shape) {
      return false;
    }
    op.epilogue.residual = static_cast<int>(op.inputs.size());
    op.inputs.push_back(other);
    return true;
  }

  void Apply(Op& op, const Op& next, Affine affine) {
    affine.keys.push_back(next.name);
    if (!affine.scale.empty()) ScaleWeights(op, affine);
    const int64_t channels = Channels(op);
    std::vector<float> bias(channels, 0.0f);
    if (op.epilogue.bias >= 0) {
      const auto& old = value(op.inputs[op.epilogue.bias]).constant;
      affine.keys.push_back(old->key());
      const auto data = old->tensor().data<float>();
      bias.assign(data.begin(), data.end());
    } else if (affine.shift.empty()) {
      return;
    }
    for (int64_t c = 0; c < channels; ++c) {
      if (!affine.scale.empty()) bias[c] *= affine.scale[c];
      if (!affine.shift.empty()) bias[c] += affine.shift[c];
    }
    const ValueId id = AddConstant(
        next.name + "/bias",
        std::make_shared<const Constant>(DerivedKey(next.name + "/bias", affine.keys),
                                         Tensor::Of<float>(Shape{channels}, bias)),
        Shape{channels});
    if (op.epilogue.bias >= 0) {
      op.inputs[op.epilogue.bias] = id;
    } else {
      op.epilogue.bias = static_cast<int>(op.inputs.size());
      op.inputs.push_back(id);
    }
  }

  // Scales each output channel of the weights. For all of Conv2D [kh,kw,I,O],
  // depthwise [kh,kw,C,M] and a matrix [k,n] the output channel is the element's
  // index modulo the number of channels; only a transposed matrix differs.
  void ScaleWeights(Op& op, const Affine& affine) {
    const Value& old = value(op.inputs[1]);
    const bool by_row = Is(op, {"MatMul"}) && op.attrs_as<MatMulAttrs>().transpose_b;
    const int64_t columns = old.shape.dim(-1);
    std::vector<std::string> keys = affine.keys;
    keys.push_back(old.constant->key());
    auto make = [weights = old.constant, scale = affine.scale, by_row, columns] {
      const Tensor read = weights->MakeTensor();
      Tensor scaled = read.Clone();
      const std::span<float> data = scaled.mutable_data<float>();
      const size_t channels = scale.size();
      for (size_t i = 0; i < data.size(); ++i) {
        data[i] *= by_row ? scale[i / columns] : scale[i % channels];
      }
      return scaled;
    };
    const std::string name = old.name + "/scaled";
    op.inputs[1] = AddConstant(name,
                               std::make_shared<const Constant>(
                                   DerivedKey(name, keys), std::function<Tensor()>(make)),
                               old.shape);
  }

  ValueId AddConstant(std::string name, std::shared_ptr<const Constant> constant,
                      Shape shape) {
    const ValueId id = ir_.AddValue({.name = std::move(name),
                                     .dtype = DType::kFloat32,
                                     .shape = std::move(shape),
                                     .constant = std::move(constant)});
    uses_.push_back(1);
    reader_.push_back(-1);
    return id;
  }

  Ir& ir_;
  std::vector<int> uses_;
  std::vector<int> reader_;  // an operation that reads the value: the one, if one does
  std::vector<bool> absorbed_;
};

}  // namespace

void FuseOps(Ir& ir) {
  RewriteOps(ir);
  Fuser(ir).Run();
  FuseScales(ir);
}

}  // namespace oriel::engine
