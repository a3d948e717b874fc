#include "engine/lower.h"

#include <cstring>

#include "engine/cost.h"
#include "engine/ops.h"
#include "engine/ref/kernels.h"
#include "engine/weight_store.h"

namespace oriel::engine {
namespace {

class ReferenceKernel : public Kernel {
 public:
  ReferenceKernel(const Ir& ir, const Op& op) : op_(op) {
    for (const ValueId id : op.inputs) {
      in_.push_back({ir.values[id].dtype, ir.values[id].shape});
    }
    for (const ValueId id : op.outputs) {
      out_.push_back({ir.values[id].dtype, ir.values[id].shape});
    }
  }

  std::string_view implementation() const override { return "reference"; }

  // The arrays with their shapes; Run only sets the pointers.
  struct State : KernelState {
    std::vector<ConstArray> in;
    std::vector<Array> out;
  };

  std::unique_ptr<KernelState> NewState() const override {
    auto state = std::make_unique<State>();
    state->in = in_;
    state->out = out_;
    return state;
  }

  absl::Status Run(const KernelArgs& args) const override {
    State& state = static_cast<State&>(*args.state);
    for (size_t i = 0; i < in_.size(); ++i) state.in[i].data = args.inputs[i];
    for (size_t i = 0; i < out_.size(); ++i) state.out[i].data = args.outputs[i];
    if (op_.quantization != nullptr) {
      ref::Quantized(op_, state.in, state.out);
    } else {
      op_.type->ref(op_, state.in, state.out);
    }
    ref::ApplyEpilogue(op_, state.in, state.out);
    return absl::OkStatus();
  }

 private:
  Op op_;
  std::vector<ConstArray> in_;
  std::vector<Array> out_;
};

}  // namespace

std::shared_ptr<const Kernel> MakeReferenceKernel(const Ir& ir, const Op& op) {
  return std::make_shared<ReferenceKernel>(ir, op);
}

void DescribeLastStep(const Ir& ir, const Op& op, Program& program) {
  Step& step = program.steps.back();
  step.op = op.type->name;
  step.multiply_adds = MultiplyAdds(ir, op);
}

absl::StatusOr<SlotId> AddPlainConstant(const Value& value, WeightStore& weights,
                                        Program& program) {
  ASSIGN_OR_RETURN(Tensor bytes, weights.GetOrCreate(
                                     value.constant->key() + " plain", PlainBytes(value),
                                     [&](std::span<uint8_t> dst) {
                                       const Tensor tensor = value.constant->MakeTensor();
                                       const Bytes src = tensor.bytes();
                                       if (!src.empty()) {
                                         std::memcpy(dst.data(), src.data(), src.size());
                                       }
                                       return absl::OkStatus();
                                     }));
  return program.AddConstant(std::move(bytes));
}

absl::StatusOr<Program> LowerToReference(const Ir& ir, WeightStore& weights) {
  Program program;
  std::vector<SlotId> slots(ir.values.size(), -1);
  for (size_t i = 0; i < ir.inputs.size(); ++i) {
    slots[ir.inputs[i]] =
        program.AddInput(static_cast<int>(i), PlainBytes(ir.values[ir.inputs[i]]));
  }
  const auto slot = [&](ValueId id) -> absl::StatusOr<SlotId> {
    if (slots[id] < 0) {
      ASSIGN_OR_RETURN(slots[id], AddPlainConstant(ir.values[id], weights, program));
    }
    return slots[id];
  };
  for (const Op& op : ir.ops) {
    std::vector<SlotId> inputs;
    for (const ValueId id : op.inputs) {
      ASSIGN_OR_RETURN(const SlotId input, slot(id));
      inputs.push_back(input);
    }
    if (op.type->ref == nullptr) {  // a change of shape
      slots[op.outputs[0]] = inputs[0];
      continue;
    }
    std::vector<SlotId> outputs;
    int64_t elements = 0;
    for (const ValueId id : op.outputs) {
      slots[id] = program.AddSlot(PlainBytes(ir.values[id]));
      outputs.push_back(slots[id]);
      elements += ir.values[id].shape.elements();
    }
    if (elements == 0) continue;
    program.AddStep(op.name, MakeReferenceKernel(ir, op), std::move(inputs),
                    std::move(outputs));
    DescribeLastStep(ir, op, program);
  }
  for (size_t i = 0; i < ir.outputs.size(); ++i) {
    ASSIGN_OR_RETURN(const SlotId from, slot(ir.outputs[i]));
    program.SetOutput(ir.values[ir.outputs[i]].name, static_cast<int>(i), from);
  }
  return program;
}

}  // namespace oriel::engine
