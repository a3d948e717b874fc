// What Run calls.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/status.h"
#include "engine/thread_pool.h"

namespace oriel::engine {

// What one context keeps for one kernel.
class KernelState {
 public:
  virtual ~KernelState() = default;
};

// In the order in which the step names its slots.
struct KernelArgs {
  std::span<void* const> inputs;
  std::span<void* const> outputs;
  void* scratch = nullptr;       // scratch_bytes(), aligned to 64
  KernelState* state = nullptr;  // what NewState of this kernel made
  ThreadPool* threads = nullptr;
  // By thread: FirstRead of the steps that follow, to be fetched ahead; or null.
  const void* const* next = nullptr;
};

// One step of a plan: immutable, shared by all contexts.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // What computes it, for profiles: "reference", oneDNN's "jit:avx2". Lives as long
  // as the kernel.
  virtual std::string_view implementation() const = 0;
  virtual size_t scratch_bytes() const { return 0; }
  virtual std::unique_ptr<KernelState> NewState() const { return nullptr; }
  // What a thread reads first of the step's constants; null: nothing much.
  virtual const void* FirstRead(std::span<void* const> /*inputs*/, int /*thread*/) const {
    return nullptr;
  }
  // Allocates nothing, takes no lock.
  virtual absl::Status Run(const KernelArgs& args) const = 0;
};

}  // namespace oriel::engine
