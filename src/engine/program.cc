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

namespace {

// Which slots of those that have a place are in use at the same time as another one.
// Most live for a few steps: those are found by step, so that a graph of 100,000 nodes
// in a row takes no 10^10 comparisons.
class PlacedSlots {
 public:
  PlacedSlots(const std::vector<Life>& lives, size_t steps)
      : lives_(lives), by_step_(steps) {}

  void Add(SlotId id) {
    const Life& life = lives_[id];
    if (!IsShort(life)) return lasting_.push_back(id);
    for (size_t step = life.first; step <= life.last; ++step) {
      by_step_[step].push_back(id);
    }
  }

  // Those that meet this life, each once, in no order.
  std::vector<SlotId> Meeting(const Life& life) const {
    std::vector<SlotId> found;
    for (const SlotId id : lasting_) {
      if (lives_[id].Meets(life)) found.push_back(id);
    }
    if (life.first > life.last) return found;  // in use at no step
    for (size_t step = life.first; step <= life.last; ++step) {
      for (const SlotId id : by_step_[step]) {
        // At the first step that they share.
        if (step == std::max(life.first, lives_[id].first)) found.push_back(id);
      }
    }
    return found;
  }

 private:
  static bool IsShort(const Life& life) {
    constexpr size_t kShort = 32;
    return life.first <= life.last && life.last - life.first < kShort;
  }

  const std::vector<Life>& lives_;
  std::vector<std::vector<SlotId>> by_step_;
  std::vector<SlotId> lasting_;
};

size_t PlacedSize(const Slot& slot) {
  return RoundUp(std::max<size_t>(slot.bytes, 1), kAlignment);
}

// The smallest gap that `slot` fits into between slots that it meets, or the place
// behind all of them.
size_t FindPlace(const Program& program, const Slot& slot, std::vector<SlotId> meeting) {
  std::ranges::sort(meeting, {}, [&](SlotId id) { return program.slots[id].offset; });
  const size_t size = PlacedSize(slot);
  size_t best = 0, best_gap = std::numeric_limits<size_t>::max();
  size_t end = 0;  // of those so far
  for (const SlotId id : meeting) {
    const Slot& other = program.slots[id];
    if (other.offset > end && other.offset - end >= size &&
        other.offset - end < best_gap) {
      best = end;
      best_gap = other.offset - end;
    }
    end = std::max(end, other.offset + PlacedSize(other));
  }
  return best_gap == std::numeric_limits<size_t>::max() ? end : best;
}

}  // namespace

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
  PlacedSlots placed(lives, program.steps.size());
  for (const SlotId id : order) {
    Slot& slot = program.slots[id];
    slot.offset = FindPlace(program, slot, placed.Meeting(lives[id]));
    program.arena_bytes = std::max(program.arena_bytes, slot.offset + PlacedSize(slot));
    placed.Add(id);
  }
}

}  // namespace oriel::engine
