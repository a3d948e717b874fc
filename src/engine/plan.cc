#include "engine/plan.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <set>

#include "base/cpus.h"
#include "engine/bf16/bf16.h"
#include "engine/constant_source.h"
#include "engine/fuse.h"
#include "engine/import.h"
#include "engine/kernels/isa.h"
#include "engine/kernels/kernel_table.h"
#include "engine/lower.h"
#include "engine/memory.h"
#include "engine/ops.h"
#include "engine/ops/fused_conv.h"
#include "engine/quantize/quantize.h"
#include "engine/threads.h"
#include "engine/weight_store.h"

namespace oriel::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Of the arena and the scratch memory of one context.
constexpr size_t kMaxContextBytes = size_t{1} << 38;

// Of a Run: those of our own kernels, and OpenMP's for oneDNN's. One of the two is 1:
// OpenMP's threads wait busily for milliseconds after each region.
struct Threads {
  int own = 1;
  int openmp = 1;
};

// Measured on 2 Zen 3 cores (AVX2) with `oriel bench`: our own kernels are 1.25 to 1.4
// times as fast as oneDNN's on Inception-ResNet-v2. On EfficientNet-Lite2, whose
// depthwise convolutions and thin layers weigh most, they are 1.0 to 1.13 times as fast
// where threads share one image, and 0.87 to 0.98 times elsewhere.
Backend ChooseBackend(const Ir& ir, const PlanOptions& options) {
  if (kernels::FindKernelTable() == nullptr) return Backend::kOneDnn;
  const int threads = options.threads > 0 ? options.threads : AvailableCpus();
  const bool faster = std::none_of(ir.ops.begin(), ir.ops.end(), [&](const Op& op) {
    if (std::string_view(op.type->name) != "DepthwiseConv2dNative") return false;
    return threads == 1 || ir.values[op.outputs[0]].shape.dim(0) > 1;
  });
  return faster ? Backend::kNative : Backend::kOneDnn;
}

Threads ChooseThreads(const PlanOptions& options) {
  const int threads = options.threads > 0 ? options.threads : AvailableCpus();
  switch (options.backend) {
    case Backend::kReference:
      return {};
    case Backend::kNative:
      if (kernels::FindKernelTable() != nullptr) return {.own = threads};
      [[fallthrough]];
    case Backend::kAuto:
    case Backend::kOneDnn:
      break;
  }
  return {.openmp = threads};
}

// Where one step's argument is the caller's memory.
struct ExternalArg {
  size_t arg;  // index into Context::args
  int index;   // of the caller's inputs or outputs
  bool output;
};

struct Context : ExecutionContext {
  const Plan* plan = nullptr;
  std::unique_ptr<ThreadPool> threads;
  std::shared_ptr<std::byte> arena;
  std::shared_ptr<std::byte> scratch;
  std::vector<void*> args;  // of all steps, one after the other
  std::vector<ExternalArg> external;
  std::vector<std::unique_ptr<KernelState>> states;  // by step
  // By step and thread: what the steps after it read first of their constants.
  std::vector<const void*> next_reads;
};

class CompiledPlan : public Plan {
 public:
  CompiledPlan(const Ir& ir, Program program, const PlanOptions& options, Threads threads)
      : program_(std::move(program)), threads_(threads) {
    for (const ValueId id : ir.inputs) {
      inputs_.push_back({ir.values[id].name, ir.values[id].dtype, ir.values[id].shape});
    }
    for (size_t i = 0; i < ir.outputs.size(); ++i) {
      const Value& value = ir.values[ir.outputs[i]];
      outputs_.push_back({options.outputs[i], value.dtype, value.shape});
    }
    stats_.nodes = ir.nodes;
    stats_.steps = static_cast<int>(program_.steps.size());
    stats_.arena_bytes = program_.arena_bytes;
    for (const Step& step : program_.steps) {
      steps_.push_back({step.name, step.op, std::string(step.kernel->implementation()),
                        step.multiply_adds, step.choice});
    }
    std::set<const uint8_t*> weights;
    for (const Slot& slot : program_.slots) {
      if (slot.kind == Slot::Kind::kArena) stats_.activation_bytes += slot.bytes;
      if (slot.kind == Slot::Kind::kConstant &&
          weights.insert(slot.constant.bytes().data()).second) {
        stats_.weight_bytes += slot.bytes;
      }
    }
  }

  const std::vector<TensorSpec>& inputs() const override { return inputs_; }
  const std::vector<TensorSpec>& outputs() const override { return outputs_; }
  const PlanStats& stats() const override { return stats_; }
  const std::vector<StepInfo>& steps() const override { return steps_; }
  void set_compiled(Precision precision, double seconds) {
    stats_.precision = precision;
    stats_.compile_seconds = seconds;
  }

  std::unique_ptr<ExecutionContext> NewContext() const override {
    auto context = std::make_unique<Context>();
    context->plan = this;
    context->threads = std::make_unique<ThreadPool>(threads_.own);
    context->arena = AllocateMemory(program_.arena_bytes);
    context->scratch = AllocateMemory(program_.scratch_bytes);
    for (const Step& step : program_.steps) {
      for (const SlotId id : step.inputs) AddArg(id, *context);
      for (const SlotId id : step.outputs) AddArg(id, *context);
      context->states.push_back(step.kernel->NewState());
    }
    FindNextReads(*context);
    return context;
  }

  absl::Status Run(ExecutionContext& execution, std::span<const Tensor> inputs,
                   std::span<Tensor> outputs) const override {
    return Execute(execution, inputs, outputs, {});
  }

  absl::Status RunTimed(ExecutionContext& execution, std::span<const Tensor> inputs,
                        std::span<Tensor> outputs,
                        std::span<std::chrono::nanoseconds> times) const override {
    if (times.size() != steps_.size()) {
      return InvalidArgument("RunTimed got {} times, the plan has {} steps", times.size(),
                             steps_.size());
    }
    return Execute(execution, inputs, outputs, times);
  }

 private:
  // `times` may be empty.
  absl::Status Execute(ExecutionContext& execution, std::span<const Tensor> inputs,
                       std::span<Tensor> outputs,
                       std::span<std::chrono::nanoseconds> times) const {
    auto& context = static_cast<Context&>(execution);
    if (context.plan != this) return InvalidArgument("the context is of another plan");
    if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size()) {
      return InvalidArgument("Run got {} inputs and {} outputs, the plan has {} and {}",
                             inputs.size(), outputs.size(), inputs_.size(),
                             outputs_.size());
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      RETURN_IF_ERROR(Check("input", inputs[i], inputs_[i]));
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      RETURN_IF_ERROR(Check("output", outputs[i], outputs_[i]));
    }
    for (const ExternalArg& external : context.external) {
      // Kernels write to no input: the const_cast only makes one table of both.
      context.args[external.arg] =
          external.output ? outputs[external.index].mutable_bytes().data()
                          : const_cast<uint8_t*>(inputs[external.index].bytes().data());
    }
    const ScopedThreads threads(threads_.openmp);
    const ThreadPool::Awake awake(*context.threads);
    const std::span<void* const> args(context.args);
    size_t next = 0;
    for (size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      const KernelArgs kernel_args{
          .inputs = args.subspan(next, step.inputs.size()),
          .outputs = args.subspan(next + step.inputs.size(), step.outputs.size()),
          .scratch = context.scratch.get(),
          .state = context.states[i].get(),
          .threads = context.threads.get(),
          .next = &context.next_reads[i * threads_.own]};
      next += step.inputs.size() + step.outputs.size();
      const auto begin = times.empty() ? Clock::time_point() : Clock::now();
      const absl::Status status = step.kernel->Run(kernel_args);
      if (!times.empty()) times[i] = Clock::now() - begin;
      if (!status.ok()) return Annotate(status, fmt::format("node '{}'", step.name));
    }
    return absl::OkStatus();
  }

  void FindNextReads(Context& context) const {
    const auto threads = static_cast<size_t>(threads_.own);
    context.next_reads.resize((program_.steps.size() + 1) * threads);
    size_t end = context.args.size();  // of the step's
    for (size_t i = program_.steps.size(); i-- > 1;) {
      const Step& step = program_.steps[i];
      const size_t begin = end - step.inputs.size() - step.outputs.size();
      const std::span<void* const> inputs(&context.args[begin], step.inputs.size());
      for (size_t thread = 0; thread < threads; ++thread) {
        const void* const own = step.kernel->FirstRead(inputs, static_cast<int>(thread));
        // Steps that read none are short: what comes after them is next.
        context.next_reads[(i - 1) * threads + thread] =
            own != nullptr ? own : context.next_reads[i * threads + thread];
      }
      end = begin;
    }
  }

  void AddArg(SlotId id, Context& context) const {
    const Slot& slot = program_.slots[id];
    void* memory = nullptr;
    switch (slot.kind) {
      case Slot::Kind::kArena:
        memory = context.arena.get() + slot.offset;
        break;
      case Slot::Kind::kConstant:
        memory = const_cast<uint8_t*>(slot.constant.bytes().data());
        break;
      case Slot::Kind::kInput:
      case Slot::Kind::kOutput:
        context.external.push_back({.arg = context.args.size(),
                                    .index = slot.index,
                                    .output = slot.kind == Slot::Kind::kOutput});
        break;
    }
    context.args.push_back(memory);
  }

  static absl::Status Check(std::string_view what, const Tensor& tensor,
                            const TensorSpec& spec) {
    if (tensor.dtype() == spec.dtype && tensor.shape() == spec.shape) {
      return absl::OkStatus();
    }
    return InvalidArgument("{} '{}' is {}{}, the plan has {}{}", what, spec.name,
                           DTypeName(tensor.dtype()), tensor.shape().ToString(),
                           DTypeName(spec.dtype), spec.shape.ToString());
  }

  Program program_;
  Threads threads_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  PlanStats stats_;
  std::vector<StepInfo> steps_;
};

absl::Status Quantize(Ir& ir, const PlanOptions& options) {
  if (options.calibration == nullptr) {
    return FailedPrecondition(
        "precision int8 needs a calibration: 'oriel calibrate' makes one");
  }
  if (options.activation_bits != 0 && options.activation_bits != 7 &&
      options.activation_bits != 8) {
    return InvalidArgument("activations of {} bits, want 7 or 8",
                           options.activation_bits);
  }
  const int bits =
      options.activation_bits != 0 ? options.activation_bits : FastInt8ActivationBits();
  return QuantizeOps(ir, *options.calibration, bits);
}

}  // namespace

std::string_view PrecisionName(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return "f32";
    case Precision::kF32Exact:
      return "f32-exact";
    case Precision::kBf16:
      return "bf16";
    case Precision::kInt8:
      return "int8";
    case Precision::kAuto:
      return "auto";
  }
  std::abort();
}

std::string_view PrecisionCaveat(Precision precision) {
  return precision == Precision::kBf16 ? Bf16Caveat() : "";
}

std::vector<Tensor> MakeTensors(std::span<const TensorSpec> specs) {
  std::vector<Tensor> tensors;
  for (const TensorSpec& spec : specs) tensors.emplace_back(spec.dtype, spec.shape);
  return tensors;
}

absl::StatusOr<std::shared_ptr<const Plan>> Plan::Compile(
    const tensorflow::GraphDef& graph, const PlanOptions& wanted) {
  const auto begin = Clock::now();
  RETURN_IF_ERROR(CheckIsaLimit());
  PlanOptions options = wanted;  // with each `auto` decided
  const auto weights =
      options.weights != nullptr ? options.weights : std::make_shared<WeightStore>();
  ASSIGN_OR_RETURN(Ir ir, ImportGraph(graph, options));
  if (options.precision == Precision::kAuto) {
    options.precision = ChoosePrecision(options.calibration.get()).precision;
  }
  const bool int8 = options.precision == Precision::kInt8;
  const bool bf16 = options.precision == Precision::kBf16;
  const bool simulated = options.backend == Backend::kReference || !HasBf16();
  if (bf16 && !simulated) {
    options.backend = Backend::kOneDnn;  // we have no kernels of our own for it
  } else if (options.backend == Backend::kAuto) {
    options.backend = !int8           ? ChooseBackend(ir, options)
                      : HasFastInt8() ? Backend::kNative
                                      : Backend::kOneDnn;
  }
  const Threads threads = ChooseThreads(options);
  // In float32 the reference judges splitting and fusion, too.
  if (options.backend != Backend::kReference || int8 || bf16) {
    SplitFusedConvolutions(ir);
    FuseOps(ir);
  }
  if (int8) RETURN_IF_ERROR(Quantize(ir, options));
  if (bf16) {
    UseBf16(ir);
    if (simulated) SimulateBf16(ir);
  }
  Program program;
  if (options.backend == Backend::kReference) {
    ASSIGN_OR_RETURN(program, LowerToReference(ir, *weights));
  } else {
    // Kernels are made for the number of threads that runs them.
    const ScopedThreads scoped(threads.openmp);
    if (int8) {
      const bool native = options.backend == Backend::kNative;
      SimulateQuantization(
          ir, [&](const Op& op) { return !native || !HasInt8Kernel(ir, op); });
    }
    ASSIGN_OR_RETURN(program, LowerToOneDnn(ir, options, threads.own, *weights));
  }
  if (options.constants != nullptr) RETURN_IF_ERROR(options.constants->status());
  PlanMemory(program);
  if (program.arena_bytes > kMaxContextBytes ||
      program.scratch_bytes > kMaxContextBytes) {
    return ResourceExhausted(
        "the plan would need {} bytes for activations and {} for "
        "scratch memory",
        program.arena_bytes, program.scratch_bytes);
  }
  auto plan = std::make_shared<CompiledPlan>(ir, std::move(program), options, threads);
  const std::chrono::duration<double> elapsed = Clock::now() - begin;
  plan->set_compiled(options.precision, elapsed.count());
  return plan;
}

}  // namespace oriel::engine
