#include "engine/evaluate.h"

#include <fmt/format.h>

#include "engine/op_setup.h"
#include "engine/ops.h"

namespace oriel::engine {
namespace {

// Takes the outputs that a kernel has to compute.
bool Compute(const OpType& type, const OpSetup& setup, std::span<const Tensor> inputs,
             std::vector<Tensor>& outputs) {
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
  bool computed = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const OpSetup::Output& output = setup.outputs()[i];
    if (output.is_constant() || output.forwarded >= 0) continue;
    computed = true;
    out.push_back({output.dtype, output.shape, outputs[i].mutable_bytes().data()});
    if (out.back().elements() == 0) return true;
  }
  if (!computed) return true;
  if (type.ref == nullptr || !type.foldable) return false;
  type.ref(op, in, out);
  return true;
}

}  // namespace

std::optional<std::vector<Tensor>> EvaluateNode(const tensorflow::NodeDef& node,
                                                std::span<const Tensor> inputs,
                                                uint64_t max_bytes) {
  const OpType* const type = FindOp(node.op());
  if (type == nullptr) return std::nullopt;
  Ir ir;
  std::vector<ValueId> ids;
  for (const Tensor& input : inputs) {
    if (!IsPlainType(input.dtype()) || input.shape().rank() > kMaxRank) {
      return std::nullopt;
    }
    const std::string name = fmt::format("input {}", ids.size());
    ids.push_back(
        ir.AddValue({.name = name,
                     .dtype = input.dtype(),
                     .shape = input.shape(),
                     .constant = std::make_shared<const Constant>(name, input)}));
  }
  OpSetup setup(node, ir, std::move(ids), nullptr);
  if (!type->setup(setup).ok()) return std::nullopt;
  uint64_t bytes = 0;
  for (const OpSetup::Output& output : setup.outputs()) {
    if (!IsPlainType(output.dtype)) return std::nullopt;
    bytes += static_cast<uint64_t>(output.shape.elements()) * ElementSize(output.dtype);
    if (bytes > max_bytes) return std::nullopt;
  }
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
  if (!Compute(*type, setup, inputs, outputs)) return std::nullopt;
  return outputs;
}

}  // namespace oriel::engine
