#include "engine/onednn/primitive_kernel.h"

#include "engine/onednn/library.h"

namespace oriel::engine::onednn {
namespace {

struct State : KernelState {
  dnnl::stream stream;
  std::vector<dnnl::memory> memories;  // inputs, outputs, scratch
  std::vector<void*> handles;          // what they point to
  std::vector<dnnl_exec_arg_t> args;

  // The C interface: the C++ one builds a map at each call.
  absl::Status Bind(size_t i, void* memory) {
    if (handles[i] == memory) return absl::OkStatus();
    const dnnl_status_t status = dnnl_memory_set_data_handle(args[i].memory, memory);
    if (status != dnnl_success) {
      return Internal("oneDNN cannot bind memory (status {})", static_cast<int>(status));
    }
    handles[i] = memory;
    return absl::OkStatus();
  }
};

// oneDNN's name of the kernel that it chose.
std::string ImplementationName(const dnnl::primitive& primitive) {
  const char* name = nullptr;
  const dnnl_status_t status = dnnl_primitive_desc_query(
      primitive.get_primitive_desc(), dnnl_query_impl_info_str, 0, &name);
  return status == dnnl_success && name != nullptr ? name : "onednn";
}

}  // namespace

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine = [] {
    LimitIsa();
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

PrimitiveKernel::PrimitiveKernel(dnnl::primitive primitive,
                                 const dnnl::memory::desc& scratchpad,
                                 std::vector<PrimitiveArg> inputs,
                                 std::vector<PrimitiveArg> outputs)
    : primitive_(std::move(primitive)),
      implementation_(ImplementationName(primitive_)),
      scratchpad_(scratchpad),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)) {}

std::unique_ptr<KernelState> PrimitiveKernel::NewState() const {
  auto state = std::make_unique<State>();
  state->stream = dnnl::stream(CpuEngine());
  const auto add = [&](int id, const dnnl::memory::desc& desc) {
    state->memories.emplace_back(desc, CpuEngine(), nullptr);
    state->handles.push_back(nullptr);
    state->args.push_back({id, state->memories.back().get()});
  };
  for (const PrimitiveArg& arg : inputs_) add(arg.id, arg.desc);
  for (const PrimitiveArg& arg : outputs_) add(arg.id, arg.desc);
  add(DNNL_ARG_SCRATCHPAD, scratchpad_);
  return state;
}

absl::Status PrimitiveKernel::Run(const KernelArgs& args) const {
  State& state = static_cast<State&>(*args.state);
  size_t next = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    RETURN_IF_ERROR(state.Bind(next++, args.inputs[i]));
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    RETURN_IF_ERROR(state.Bind(next++, args.outputs[i]));
  }
  RETURN_IF_ERROR(state.Bind(next, args.scratch));
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), state.stream.get(),
                             static_cast<int>(state.args.size()), state.args.data());
  if (status == dnnl_out_of_memory) return ResourceExhausted("out of memory");
  if (status != dnnl_success) {
    return Internal("oneDNN failed with status {}", static_cast<int>(status));
  }
  return absl::OkStatus();
}

}  // namespace oriel::engine::onednn
