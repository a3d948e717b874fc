// A oneDNN primitive as a kernel.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "engine/kernel.h"

namespace oriel::engine::onednn {

// The one CPU engine of the process.
const dnnl::engine& CpuEngine();

// An argument of a primitive: DNNL_ARG_... and how its memory is laid out.
struct PrimitiveArg {
  int id;
  dnnl::memory::desc desc;
};

class PrimitiveKernel : public Kernel {
 public:
  // inputs and outputs are in the order of the step's slots; slots after them that
  // the primitive does not take (the residual that an output overwrites) are left.
  PrimitiveKernel(dnnl::primitive primitive, const dnnl::memory::desc& scratchpad,
                  std::vector<PrimitiveArg> inputs, std::vector<PrimitiveArg> outputs);

  std::string_view implementation() const override { return implementation_; }
  size_t scratch_bytes() const override { return scratchpad_.get_size(); }
  std::unique_ptr<KernelState> NewState() const override;
  absl::Status Run(const KernelArgs& args) const override;

 private:
  dnnl::primitive primitive_;
  std::string implementation_;
  dnnl::memory::desc scratchpad_;
  std::vector<PrimitiveArg> inputs_;
  std::vector<PrimitiveArg> outputs_;
};

}  // namespace oriel::engine::onednn
