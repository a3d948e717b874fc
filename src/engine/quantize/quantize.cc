#include "engine/quantize/quantize.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "engine/ops.h"
#include "engine/ops/conv.h"
#include "engine/ops/matmul.h"
#include "engine/ref/kernels.h"

namespace oriel::engine {
namespace {

constexpr int kWeightMax = 127;

bool Is(const Op& op, std::string_view name) { return name == op.type->name; }

bool WeightsByRow(const Op& op) {
  return Is(op, "MatMul") && op.attrs_as<MatMulAttrs>().transpose_b;
}

int64_t Channels(const Ir& ir, const Op& op) {
  return ir.values[op.outputs[0]].shape.dim(-1);
}

std::string FloatKey(std::span<const float> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

// Values in sets that share one quantization.
class Groups {
 public:
  explicit Groups(size_t values) : parent_(values) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int Find(int value) {
    while (parent_[value] != value) {
      parent_[value] = parent_[parent_[value]];
      value = parent_[value];
    }
    return value;
  }
  void Join(int a, int b) { parent_[Find(a)] = Find(b); }

 private:
  std::vector<int> parent_;
};

// Both results come from one reading of the float32 weights, when the first is asked
// for.
struct LazyWeights {
  std::shared_ptr<const Constant> weights;
  int64_t channels;
  bool by_row;
  std::optional<QuantizedWeights> made;

  const QuantizedWeights& Get() {
    if (!made) {
      made = QuantizeWeights(weights->MakeTensor(), channels, by_row);
      weights = nullptr;
    }
    return *made;
  }
};

ValueId AddConstant(Ir& ir, std::string name, DType dtype, Shape shape,
                    std::shared_ptr<const Constant> constant) {
  return ir.AddValue({.name = std::move(name),
                      .dtype = dtype,
                      .shape = std::move(shape),
                      .constant = std::move(constant)});
}

void QuantizeWeightsOf(Ir& ir, Op& op, Quantization& quantization) {
  const Value weights = ir.values[op.inputs[1]];
  const int64_t channels = Channels(ir, op);
  const auto lazy = std::make_shared<LazyWeights>(
      LazyWeights{weights.constant, channels, WeightsByRow(op), std::nullopt});
  // The same weights quantized along another axis are another constant.
  const std::vector<std::string> keys = {weights.constant->key(),
                                         lazy->by_row ? "rows" : "columns"};
  const std::string values_name = weights.name + "/quantized";
  op.inputs[1] = AddConstant(
      ir, values_name, DType::kInt8, weights.shape,
      std::make_shared<const Constant>(DerivedKey(values_name, keys),
                                       [lazy] { return lazy->Get().values; }));
  const std::string scales_name = weights.name + "/scales";
  quantization.weight_scales = static_cast<int>(op.inputs.size());
  op.inputs.push_back(AddConstant(
      ir, scales_name, DType::kFloat32, Shape{channels},
      std::make_shared<const Constant>(DerivedKey(scales_name, keys),
                                       [lazy] { return lazy->Get().scales; })));
}

absl::Status CorrectBias(Ir& ir, Op& op, const std::vector<float>& correction) {
  const int64_t channels = Channels(ir, op);
  if (static_cast<int64_t>(correction.size()) != channels) {
    return InvalidArgument("bias correction has {} numbers, the operation {} channels",
                           correction.size(), channels);
  }
  std::vector<float> bias = correction;
  std::vector<std::string> keys = {FloatKey(correction)};
  if (op.epilogue.bias >= 0) {
    const Constant& old = *ir.values[op.inputs[op.epilogue.bias]].constant;
    keys.push_back(old.key());
    const auto data = old.tensor().data<float>();
    for (int64_t c = 0; c < channels; ++c) bias[c] += data[c];
  }
  const std::string name = op.name + "/corrected_bias";
  const ValueId id =
      AddConstant(ir, name, DType::kFloat32, Shape{channels},
                  std::make_shared<const Constant>(
                      DerivedKey(name, keys), Tensor::Of<float>(Shape{channels}, bias)));
  if (op.epilogue.bias >= 0) {
    op.inputs[op.epilogue.bias] = id;
  } else {
    op.epilogue.bias = static_cast<int>(op.inputs.size());
    op.inputs.push_back(id);
  }
  return absl::OkStatus();
}

// Sets Value::quantization wherever a value of the group has a range.
absl::Status QuantizeValues(Ir& ir, const Calibration& calibration, int activation_bits) {
  const std::vector<int> groups = QuantizationGroups(ir);
  std::map<int, ValueRange> ranges;
  for (size_t id = 0; id < ir.values.size(); ++id) {
    const auto it = calibration.ranges.find(ir.values[id].name);
    if (it == calibration.ranges.end() || ir.values[id].constant != nullptr) continue;
    const ValueRange& range = it->second;
    if (!std::isfinite(range.low) || !std::isfinite(range.high) ||
        range.low > range.high) {
      return InvalidArgument("calibration: the range of '{}' is {} to {}",
                             ir.values[id].name, range.low, range.high);
    }
    const auto [group, is_new] = ranges.emplace(groups[id], range);
    if (is_new) continue;
    group->second.low = std::min(group->second.low, range.low);
    group->second.high = std::max(group->second.high, range.high);
  }
  for (size_t id = 0; id < ir.values.size(); ++id) {
    const auto it = ranges.find(groups[id]);
    if (it == ranges.end() || ir.values[id].constant != nullptr) continue;
    ir.values[id].quantization = ChooseQuantization(it->second, activation_bits);
  }
  return absl::OkStatus();
}

}  // namespace

ActivationQuantization ChooseQuantization(ValueRange range, int activation_bits) {
  const double low = std::min(static_cast<double>(range.low), 0.0);
  const double high = std::max(static_cast<double>(range.high), 0.0);
  ActivationQuantization result;
  result.max = (1 << activation_bits) - 1;
  const double scale = (high - low) / result.max;
  result.scale = static_cast<float>(scale);
  // So small a range that its scale has no finite inverse is all zeros.
  if (!(result.scale >= FLT_MIN)) {
    result.scale = 1;
    return result;
  }
  result.inverse_scale = static_cast<float>(1.0 / static_cast<double>(result.scale));
  result.zero_point = static_cast<int>(std::nearbyint(-low / scale));
  return result;
}

QuantizedWeights QuantizeWeights(const Tensor& weights, int64_t channels, bool by_row) {
  const auto data = weights.data<float>();
  const size_t columns =
      data.size() / static_cast<size_t>(std::max<int64_t>(channels, 1));
  const auto channel = [&](size_t i) {
    return by_row ? i / columns : i % static_cast<size_t>(channels);
  };
  QuantizedWeights result{Tensor(DType::kInt8, weights.shape()),
                          Tensor(DType::kFloat32, Shape{channels})};
  const auto scales = result.scales.mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i) {
    float& most = scales[channel(i)];
    most = std::max(most, std::abs(data[i]));
  }
  for (float& scale : scales) {
    scale /= kWeightMax;
    if (!(scale >= FLT_MIN) || !std::isfinite(scale)) scale = 1;
  }
  const auto values = result.values.mutable_data<int8_t>();
  for (size_t i = 0; i < data.size(); ++i) {
    const float rounded = std::nearbyint(data[i] / scales[channel(i)]);
    values[i] =
        std::isnan(rounded)
            ? int8_t{0}
            : static_cast<int8_t>(std::clamp<float>(rounded, -kWeightMax, kWeightMax));
  }
  return result;
}

bool IsQuantizable(const Ir& ir, const Op& op) {
  if (!Is(op, "Conv2D") && !Is(op, "DepthwiseConv2dNative") && !Is(op, "MatMul")) {
    return false;
  }
  const Value& src = ir.values[op.inputs[0]];
  const Value& weights = ir.values[op.inputs[1]];
  if (weights.constant == nullptr || src.constant != nullptr ||
      src.dtype != DType::kFloat32 || weights.dtype != DType::kFloat32) {
    return false;
  }
  if (Is(op, "MatMul") && op.attrs_as<MatMulAttrs>().transpose_a) return false;
  const int64_t channels = Channels(ir, op);
  if (channels < 1 || weights.shape.elements() < 1) return false;
  constexpr int64_t kMaxTaps = std::numeric_limits<int32_t>::max() / (255 * kWeightMax);
  return weights.shape.elements() / channels <= kMaxTaps;
}

std::vector<int> QuantizationGroups(const Ir& ir) {
  Groups groups(ir.values.size());
  for (const Op& op : ir.ops) {
    const bool concat = op.type->ref == ref::Concat;
    const bool reshape = op.type->ref == nullptr;
    if (!concat && !reshape && !Is(op, "MaxPool")) continue;
    for (const ValueId input : op.inputs) {
      if (ir.values[input].constant == nullptr) groups.Join(input, op.outputs[0]);
    }
  }
  std::vector<int> numbers;
  for (size_t id = 0; id < ir.values.size(); ++id) {
    numbers.push_back(groups.Find(static_cast<int>(id)));
  }
  return numbers;
}

absl::Status QuantizeOps(Ir& ir, const Calibration& calibration, int activation_bits) {
  RETURN_IF_ERROR(QuantizeValues(ir, calibration, activation_bits));
  bool known = calibration.wider.empty() && calibration.ranges.empty();
  for (Op& op : ir.ops) {
    if (!IsQuantizable(ir, op)) continue;
    if (calibration.wider.contains(op.name)) {
      known = true;
      continue;
    }
    const auto& input = ir.values[op.inputs[0]].quantization;
    if (!input) continue;
    known = true;
    auto quantization = std::make_shared<Quantization>(Quantization{.input = *input});
    QuantizeWeightsOf(ir, op, *quantization);
    op.quantization = std::move(quantization);
    const auto correction = calibration.bias_corrections.find(op.name);
    if (correction == calibration.bias_corrections.end()) continue;
    const absl::Status status = CorrectBias(ir, op, correction->second);
    if (!status.ok()) {
      return Annotate(status, fmt::format("calibration: node '{}'", op.name));
    }
  }
  if (!known) {
    return InvalidArgument("the calibration names none of the graph's {} operations",
                           ir.ops.size());
  }
  return absl::OkStatus();
}

}  // namespace oriel::engine
