// A lowered graph: kernels in running order on slots of memory. Backends build it
// from the Ir; PlanMemory places its slots.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/choices.h"
#include "engine/kernel.h"
#include "tensor/tensor.h"

namespace oriel::engine {

using SlotId = int;

// A piece of memory that steps read and write. Its layout is the backend's affair.
struct Slot {
  enum class Kind {
    kArena,     // of the context; shares its place with slots of other times
    kInput,     // the caller's input number `index`
    kOutput,    // the caller's output number `index`
    kConstant,  // `constant`
  };
  Kind kind = Kind::kArena;
  size_t bytes = 0;
  int index = 0;
  Tensor constant;
  size_t offset = 0;  // into the arena, set by PlanMemory
};

struct Step {
  std::string name;            // of the node
  std::string op = "Reorder";  // of the node; a backend's own copies keep this one
  int64_t multiply_adds = 0;
  std::shared_ptr<const Kernel> kernel;
  std::vector<SlotId> inputs;
  std::vector<SlotId> outputs;  // a slot that is an input too is changed in place
  Choice choice;                // of the kernel
};

struct Program {
  std::vector<Slot> slots;
  std::vector<Step> steps;
  size_t arena_bytes = 0;
  size_t scratch_bytes = 0;

  SlotId AddSlot(size_t bytes);
  SlotId AddInput(int index, size_t bytes);
  SlotId AddConstant(Tensor bytes);
  void AddStep(std::string name, std::shared_ptr<const Kernel> kernel,
               std::vector<SlotId> inputs, std::vector<SlotId> outputs);
  // Makes the caller's output `index` hold what `slot` holds at the end: the slot
  // becomes the caller's memory where it can, else it is copied.
  void SetOutput(std::string name, int index, SlotId slot);
};

// Copies `bytes` bytes from slot to slot.
std::shared_ptr<const Kernel> MakeCopyKernel(size_t bytes);

// Gives each arena slot a place such that slots that are in use at the same time do
// not meet (greedy by size, best fit; Pisarchyk and Lee, "Efficient Memory
// Management for Deep Neural Net Inference", 2020). Places are aligned to 64 bytes.
void PlanMemory(Program& program);

}  // namespace oriel::engine
