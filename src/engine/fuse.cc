#include "engine/fuse.h"

#include <cmath>

#include "engine/ops.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/conv.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/matmul.h"

namespace oriel::engine {
namespace {

bool Is(const Op& op, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string_view(op.type->name) == name) return true;
  }
  return false;
}

// dst = src * scale + shift, by output channel.
struct Affine {
  std::vector<float> scale;       // empty: 1
  std::vector<float> shift;       // empty: 0
  std::vector<std::string> keys;  // of the constants that it is made of
};

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
    if (Is(next, {"Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh"})) {
      op.epilogue.activation = next.attrs_as<UnaryAttrs>().function;
      return true;
    }
    if (op.epilogue.residual >= 0) return false;
    if (next.type->setup == FindOp("FusedBatchNorm")->setup ||
        Is(next, {"BatchNormWithGlobalNormalization"})) {
      return AbsorbBatchNorm(op, next);
    }
    if (Is(next, {"BiasAdd", "Add", "AddV2", "Sub", "Mul", "RealDiv"})) {
      return AbsorbBinary(op, next);
    }
    return false;
  }

  int64_t Channels(const Op& op) const { return value(op.outputs[0]).shape.dim(-1); }

  bool AbsorbBatchNorm(Op& op, const Op& next) {
    if (next.inputs[0] != op.outputs[0]) return false;
    for (size_t i = 1; i < next.inputs.size(); ++i) {
      if (!IsConstant(next.inputs[i])) return false;
    }
    const auto data = [&](size_t input) {
      return value(next.inputs[input]).constant->tensor().data<float>();
    };
    const auto offset = data(1), mean = data(2), variance = data(3);
    const double epsilon = next.attrs_as<BatchNormAttrs>().epsilon;
    Affine affine;
    for (size_t c = 0; c < offset.size(); ++c) {
      const double scale = (next.inputs.size() > 4 ? data(4)[c] : 1.0) /
                           std::sqrt(static_cast<double>(variance[c]) + epsilon);
      affine.scale.push_back(static_cast<float>(scale));
      affine.shift.push_back(static_cast<float>(offset[c] - mean[c] * scale));
    }
    for (size_t i = 1; i < next.inputs.size(); ++i) {
      affine.keys.push_back(value(next.inputs[i]).constant->key());
    }
    Apply(op, next, std::move(affine));
    return true;
  }

  bool AbsorbBinary(Op& op, const Op& next) {
    const bool left = next.inputs[0] == op.outputs[0];
    const ValueId other = next.inputs[left ? 1 : 0];
    if (value(next.outputs[0]).shape != value(op.outputs[0]).shape) return false;
    const BinaryKind kind = next.attrs_as<BinaryAttrs>().kind;
    if (!IsConstant(other)) {
      if (kind != BinaryKind::kAdd || value(other).shape != value(op.outputs[0]).shape) {
        return false;
      }
      op.epilogue.residual = static_cast<int>(op.inputs.size());
      op.inputs.push_back(other);
      return true;
    }
    if (!left && kind == BinaryKind::kDiv) return false;
    const auto constant = PerChannel(other, Channels(op));
    if (!constant) return false;
    Affine affine;
    affine.keys.push_back(value(other).constant->key());
    const size_t channels = constant->size();
    switch (kind) {
      case BinaryKind::kAdd:
        affine.shift = *constant;
        break;
      case BinaryKind::kSub:  // dst - c, or c - dst
        affine.shift = *constant;
        if (left) {
          for (float& v : affine.shift) v = -v;
        } else {
          affine.scale.assign(channels, -1.0f);
        }
        break;
      case BinaryKind::kMul:
        affine.scale = *constant;
        break;
      case BinaryKind::kDiv:
        for (const float v : *constant) affine.scale.push_back(1 / v);
        break;
      default:
        return false;
    }
    Apply(op, next, std::move(affine));
    return true;
  }

  // A constant that differs by channel at most, as one number for each channel.
  std::optional<std::vector<float>> PerChannel(ValueId id, int64_t channels) const {
    const Shape& shape = value(id).shape;
    const int64_t elements = shape.elements();
    const bool by_channel =
        elements == channels && shape.rank() > 0 && shape.dim(-1) == channels;
    if (!by_channel && elements != 1) return std::nullopt;
    const auto data = value(id).constant->tensor().data<float>();
    if (elements == 1) return std::vector<float>(channels, data[0]);
    return std::vector<float>(data.begin(), data.end());
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

void FuseOps(Ir& ir) { Fuser(ir).Run(); }

}  // namespace oriel::engine
