#include "engine/evaluate.h"

#include <algorithm>

#include "engine/op_setup.h"
#include "engine/ops.h"

namespace oriel::engine {
namespace {

std::vector<Tensor> MakeOutputs(const OpSetup& setup, std::span<const Tensor> inputs) {
  std::vector<Tensor> outputs;
  for (const OpSetup::Output& output : setup.outputs()) {
    if (output.constant) {
      outputs.push_back(*output.constant);
    } else if (output.make) {
      outputs.push_back(output.make());
    } else if (output.forwarded >= 0) {
      outputs.push_back(inputs[output.forwarded].Reshaped(output.shape));
    } else {
      outputs.emplace_back(output.dtype, output.shape);
    }
  }
  return outputs;
}

// Computes the outputs that are neither constant nor inputs.
void RunKernel(const OpType& type, const OpSetup& setup, std::span<const Tensor> inputs,
               std::span<Tensor> outputs) {
  Op op{.type = &type, .name = setup.node().name(), .attrs = setup.attrs()};
  std::vector<ConstArray> in;
  const auto add_input = [&](const Tensor& tensor) {
    op.inputs.push_back(static_cast<ValueId>(in.size()));
    in.push_back({tensor.dtype(), tensor.shape(), tensor.bytes().data()});
  };
  if (setup.kept()) {
    for (const int i : *setup.kept()) add_input(inputs[i]);
  } else {
    for (const Tensor& tensor : inputs) add_input(tensor);
  }
  std::vector<Array> out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const OpSetup::Output& output = setup.outputs()[i];
    if (output.is_constant() || output.forwarded >= 0) continue;
    out.push_back({output.dtype, output.shape, outputs[i].mutable_bytes().data()});
  }
  const bool empty = std::all_of(
      out.begin(), out.end(), [](const Array& array) { return array.elements() == 0; });
  if (!empty) type.ref(op, in, out);
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> Evaluate(const tensorflow::NodeDef& node,
                                             std::span<const Tensor> inputs,
                                             const EvaluateOptions& options) {
  const std::string where = fmt::format("node '{}' ({})", node.name(), node.op());
  const OpType* const type = FindOp(node.op());
  if (type == nullptr) return Unimplemented("{}: the engine does not have it", where);
  Ir ir;
  std::vector<ValueId> ids;
  for (const Tensor& input : inputs) {
    if (input.shape().rank() > kMaxRank) {
      return Unimplemented("{}: an input has {} dimensions, the engine has at most {}",
                           where, input.shape().rank(), kMaxRank);
    }
    const std::string name = fmt::format("input {}", ids.size());
    ids.push_back(
        ir.AddValue({.name = name,
                     .dtype = input.dtype(),
                     .shape = input.shape(),
                     .constant = std::make_shared<const Constant>(name, input)}));
  }
  OpSetup setup(node, ir, std::move(ids), options.constants);
  RETURN_IF_ERROR(type->setup(setup));
  uint64_t bytes = 0;
  bool computes = false;
  for (const OpSetup::Output& output : setup.outputs()) {
    bytes += static_cast<uint64_t>(output.shape.elements()) * ElementSize(output.dtype);
    computes |= !output.is_constant() && output.forwarded < 0;
  }
  if (bytes > options.max_bytes) {
    return ResourceExhausted("{}: makes {} bytes, at most {} are allowed", where, bytes,
                             options.max_bytes);
  }
  if (computes && (type->ref == nullptr || !type->foldable)) {
    return Unimplemented("{}: is left to plans", where);
  }
  std::vector<Tensor> outputs = MakeOutputs(setup, inputs);
  if (computes) RunKernel(*type, setup, inputs, outputs);
  return outputs;
}

std::optional<std::vector<Tensor>> EvaluateNode(const tensorflow::NodeDef& node,
                                                std::span<const Tensor> inputs,
                                                uint64_t max_bytes) {
  const bool plain = std::all_of(inputs.begin(), inputs.end(), [](const Tensor& input) {
    return IsPlainType(input.dtype());
  });
  if (!plain) return std::nullopt;
  auto outputs = Evaluate(node, inputs, {.max_bytes = max_bytes});
  if (!outputs.ok()) return std::nullopt;
  return *std::move(outputs);
}

}  // namespace oriel::engine
