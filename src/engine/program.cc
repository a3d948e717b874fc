#include "engine/program.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/bytes.h"

namespace oriel::engine {
namespace {

constexpr size_t kAlignment = 64;

// The steps from which to which a slot is in use.
struct Life {
  size_t first = std::numeric_limits<size_t>::max();
  size_t last = 0;

  void Extend(size_t step) {
    first = std::min(first, step);
    last = std::max(last, step);
  }
  bool Meets(const Life& other) const {
    return first <= other.last && other.first <= last;
  }
};

class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(size_t bytes) : bytes_(bytes) {}
  std::string_view implementation() const override { return "copy"; }
  absl::Status Run(const KernelArgs& args) const override {
    if (bytes_ > 0) std::memcpy(args.outputs[0], args.inputs[0], bytes_);
    return absl::OkStatus();
  }

 private:
  size_t bytes_;
};

}  // namespace

std::shared_ptr<const Kernel> MakeCopyKernel(size_t bytes) {
  return std::make_shared<CopyKernel>(bytes);
}

SlotId Program::AddSlot(size_t bytes) {
  slots.push_back({.bytes = bytes});
  return static_cast<SlotId>(slots.size()) - 1;
}

SlotId Program::AddInput(int index, size_t bytes) {
  slots.push_back({.kind = Slot::Kind::kInput, .bytes = bytes, .index = index});
  return static_cast<SlotId>(slots.size()) - 1;
}

SlotId Program::AddConstant(Tensor bytes) {
  const size_t size = bytes.bytes().size();
  slots.push_back(
      {.kind = Slot::Kind::kConstant, .bytes = size, .constant = std::move(bytes)});
  return static_cast<SlotId>(slots.size()) - 1;
}

void Program::AddStep(std::string name, std::shared_ptr<const Kernel> kernel,
                      std::vector<SlotId> inputs, std::vector<SlotId> outputs) {
  scratch_bytes = std::max(scratch_bytes, kernel->scratch_bytes());
  Step step;
  step.name = std::move(name);
  step.kernel = std::move(kernel);
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  steps.push_back(std::move(step));
}

void Program::SetOutput(std::string name, int index, SlotId slot) {
  if (slots[slot].kind == Slot::Kind::kArena) {
    slots[slot].kind = Slot::Kind::kOutput;
    slots[slot].index = index;
    return;
  }
  const size_t bytes = slots[slot].bytes;
  slots.push_back({.kind = Slot::Kind::kOutput, .bytes = bytes, .index = index});
  const auto to = static_cast<SlotId>(slots.size()) - 1;
  AddStep(std::move(name), MakeCopyKernel(bytes), {slot}, {to});
}

void PlanMemory(Program& program) {
  std::vector<Life> lives(program.slots.size());
  for (size_t i = 0; i < program.steps.size(); ++i) {
    for (const SlotId slot : program.steps[i].inputs) lives[slot].Extend(i);
    for (const SlotId slot : program.steps[i].outputs) lives[slot].Extend(i);
  }
  std::vector<SlotId> order;
  for (SlotId id = 0; id < static_cast<SlotId>(program.slots.size()); ++id) {
    if (program.slots[id].kind == Slot::Kind::kArena) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](SlotId a, SlotId b) {
    return program.slots[a].bytes > program.slots[b].bytes;
  });
  std::vector<SlotId> placed;  // by offset
  for (const SlotId id : order) {
    Slot& slot = program.slots[id];
    const size_t size = RoundUp(std::max<size_t>(slot.bytes, 1), kAlignment);
    size_t best = std::numeric_limits<size_t>::max(), best_gap = best;
    size_t end = 0;  // of what is placed so far and alive at the same time
    for (const SlotId other_id : placed) {
      const Slot& other = program.slots[other_id];
      if (!lives[other_id].Meets(lives[id])) continue;
      if (other.offset > end && other.offset - end >= size &&
          other.offset - end < best_gap) {
        best = end;
        best_gap = other.offset - end;
      }
      end = std::max(
          end, other.offset + RoundUp(std::max<size_t>(other.bytes, 1), kAlignment));
    }
    slot.offset = best_gap == std::numeric_limits<size_t>::max() ? end : best;
    program.arena_bytes = std::max(program.arena_bytes, slot.offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), id,
                                   [&](SlotId a, SlotId b) {
                                     return program.slots[a].offset <
                                            program.slots[b].offset;
                                   }),
                  id);
  }
}

}  // namespace oriel::engine
