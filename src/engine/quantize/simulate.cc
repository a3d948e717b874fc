// Quantized operations in float32.

#include <algorithm>
#include <map>

#include "engine/kernels/int8_table.h"
#include "engine/onednn/lowerings.h"
#include "engine/ops.h"
#include "engine/ops/matmul.h"
#include "engine/quantize/quantize.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

Tensor DequantizeWeights(const Tensor& values, const Tensor& scales, bool by_row) {
  Tensor weights(DType::kFloat32, values.shape());
  const auto from = values.data<int8_t>();
  const auto scale = scales.data<float>();
  const auto to = weights.mutable_data<float>();
  const size_t columns = from.size() / scale.size();
  for (size_t i = 0; i < from.size(); ++i) {
    to[i] = from[i] * scale[by_row ? i / columns : i % scale.size()];
  }
  return weights;
}

void UseDequantizedWeights(Ir& ir, Op& op) {
  const Value quantized = ir.values[op.inputs[1]];
  const ValueId scales = op.inputs[op.quantization->weight_scales];
  const bool by_row = op.attrs != nullptr &&
                      std::string_view(op.type->name) == "MatMul" &&
                      op.attrs_as<MatMulAttrs>().transpose_b;
  const std::string name = quantized.name + "/dequantized";
  auto constant = std::make_shared<const Constant>(
      DerivedKey(name, std::vector{quantized.constant->key()}),
      [values = quantized.constant, factors = ir.values[scales].constant, by_row] {
        return DequantizeWeights(values->tensor(), factors->tensor(), by_row);
      });
  op.inputs[1] = ir.AddValue({.name = name,
                              .dtype = DType::kFloat32,
                              .shape = quantized.shape,
                              .constant = std::move(constant)});
  // Nothing reads the scales now; indices after theirs move up.
  const int at = op.quantization->weight_scales;
  op.inputs.erase(op.inputs.begin() + at);
  for (int* index : {&op.epilogue.bias, &op.epilogue.residual}) {
    if (*index > at) --*index;
  }
}

// `to` by value: the compiler sees that the loop does not change it.
void FakeQuantizeAll(const ActivationQuantization to, int64_t elements, const float* src,
                     float* dst) {
  for (int64_t i = 0; i < elements; ++i) {
    dst[i] = to.scale * QuantizeCentered(src[i], to);
  }
}

class FakeQuantizeKernel : public Kernel {
 public:
  FakeQuantizeKernel(const ActivationQuantization& quantization, int64_t elements)
      : quantization_(quantization), elements_(elements) {}

  std::string_view implementation() const override { return "simulated"; }

  absl::Status Run(const KernelArgs& args) const override {
    FakeQuantizeAll(quantization_, elements_, static_cast<const float*>(args.inputs[0]),
                    static_cast<float*>(args.outputs[0]));
    return absl::OkStatus();
  }

 private:
  ActivationQuantization quantization_;
  int64_t elements_;
};

constexpr OpType kFakeQuantize = {"FakeQuantize", nullptr, ref::FakeQuantize,
                                  onednn::LowerFakeQuantize, false};

}  // namespace

const OpType* FakeQuantizeOp() { return &kFakeQuantize; }

std::shared_ptr<const Kernel> MakeFakeQuantizeKernel(
    const ActivationQuantization& quantization, int64_t elements) {
  return std::make_shared<FakeQuantizeKernel>(quantization, elements);
}

void SimulateQuantization(Ir& ir, const std::function<bool(const Op& op)>& which) {
  std::vector<Op> ops;
  std::map<ValueId, ValueId> rounded;
  for (Op& op : ir.ops) {
    if (op.quantization != nullptr && (which == nullptr || which(op))) {
      const ValueId src = op.inputs[0];
      const auto [it, is_new] = rounded.emplace(src, kNoValue);
      if (is_new) {
        const Value& value = ir.values[src];
        const std::string name = value.name + "/quantized";
        auto attrs = std::make_shared<FakeQuantizeAttrs>();
        attrs->quantization = op.quantization->input;
        it->second =
            ir.AddValue({.name = name, .dtype = value.dtype, .shape = value.shape});
        ops.push_back({.type = &kFakeQuantize,
                       .name = name,
                       .attrs = std::move(attrs),
                       .inputs = {src},
                       .outputs = {it->second}});
      }
      op.inputs[0] = it->second;
      UseDequantizedWeights(ir, op);
      op.quantization = nullptr;
    }
    ops.push_back(std::move(op));
  }
  ir.ops = std::move(ops);
}

bool HasFastInt8() { return kernels::FindInt8Table() != nullptr; }

int FastInt8ActivationBits() {
  const kernels::Int8Table* const table = kernels::FindInt8Table();
  return table != nullptr && table->max_activation < 255 ? 7 : 8;
}

}  // namespace oriel::engine
