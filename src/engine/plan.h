// A frozen graph compiled for one set of input shapes, and running it.
//
// Compile decides everything: shapes, fusion, layouts, packed weights, where each
// activation lies. Run then makes no primitive, allocates nothing and takes no
// lock.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/choices.h"
#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::engine {

enum class Backend {
  kAuto,       // the faster of oneDNN's and our own
  kReference,  // plain loops: slow, and the arbiter of the others
  kOneDnn,     // oneDNN's kernels
  kNative,     // our own where this CPU has any (AVX2, AVX-512), oneDNN's elsewhere
};

enum class Precision {
  kF32,       // may use Winograd within an error bound
  kF32Exact,  // direct sums only
  kBf16,      // images and weights rounded to bfloat16, sums in float32 (bf16/bf16.h)
  kInt8,      // eight-bit integers where the calibration says so (quantize/)
  kAuto,      // the fastest that the calibration vouches for (ChoosePrecision)
};

// As people name them: "f32", "f32-exact", "bf16", "int8", "auto".
std::string_view PrecisionName(Precision precision);

// For people who asked for it: that it is no faster on this machine, and why. Empty where
// there is nothing to say.
std::string_view PrecisionCaveat(Precision precision);

// How kernels keep images between each other; what goes in and out is always
// row-major.
enum class ActivationLayout {
  kAuto,          // the faster one on this CPU
  kChannelsLast,  // [N,H,W,C]
  kBlocked,       // what each oneDNN kernel likes best, as [N,C/8,H,W,8]
};

// A tensor of a graph: "node" or "node:1".
struct TensorSpec {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
};

// A tensor for each, of its type and shape.
std::vector<Tensor> MakeTensors(std::span<const TensorSpec> specs);

// Constants in the form that kernels read. Plans of one graph share it: other
// batch sizes, other streams. Grows while plans are compiled; thread-safe.
class WeightStore;
std::shared_ptr<WeightStore> NewWeightStore();

struct Calibration;    // quantize/calibration.h
class ConstantSource;  // constant_source.h

struct PlanOptions {
  Backend backend = Backend::kAuto;
  Precision precision = Precision::kF32;
  ActivationLayout layout = ActivationLayout::kAuto;

  // Shapes of the graph's placeholders by tensor name; every one that the outputs
  // need, all sizes known. A placeholder that the graph gives a full shape may be
  // left out. Any node may be named, not only placeholders: it is then fed and
  // what lies before it is not run. One that the outputs do not need is ignored by
  // Run.
  std::vector<std::pair<std::string, Shape>> inputs;

  // Tensors that are known already, numbers or bool: they are constants of the plan,
  // and what lies before them is not run.
  std::vector<std::pair<std::string, Tensor>> values;

  // Tensors to compute, by name; at least one.
  std::vector<std::string> outputs;

  // Threads of one Run; 0: all that the process may use (AvailableCpus).
  int threads = 0;

  // Shared with other plans of the same GraphDef; null: the plan's own.
  std::shared_ptr<WeightStore> weights;

  // What the GraphDef leaves out of its constants; null: nothing.
  std::shared_ptr<const ConstantSource> constants;

  // What was found fastest, to look up and to add to; null: nothing is remembered.
  // Shared with other plans on this machine.
  std::shared_ptr<Choices> choices;

  // For Precision::kInt8, which is refused without it (kFailedPrecondition), and kAuto.
  std::shared_ptr<const Calibration> calibration;
  // The largest quantized activation is 2^bits - 1: 8, 7, or 0 for what the kernels
  // want.
  int activation_bits = 0;
};

// Scratch memory of one Run at a time: one for each worker thread. Made by
// Plan::NewContext, only for that plan.
class ExecutionContext {
 public:
  virtual ~ExecutionContext() = default;
};

// How a plan came out, for `inspect`, `--verbose` and tests.
struct PlanStats {
  Precision precision = Precision::kF32;  // never kAuto
  int nodes = 0;                          // of the graph, that the outputs need
  int steps = 0;                          // kernels that a Run calls
  size_t arena_bytes = 0;                 // activations, reused by liveness
  size_t activation_bytes = 0;            // the same without reuse
  size_t weight_bytes = 0;                // packed constants
  double compile_seconds = 0;
};

// One kernel call of a Run, for profiles.
struct StepInfo {
  std::string name;            // of the node; of the last one where several are fused
  std::string op;              // "Conv2D"; "Reorder" for a change of layout
  std::string implementation;  // "reference", "copy", oneDNN's "jit:avx2"
  int64_t multiply_adds = 0;   // of convolutions and matrix products, by direct sums
  Choice choice;               // of the kernel
};

// Immutable, thread-safe; shared as shared_ptr<const Plan> so that a server can
// swap models while old requests finish.
class Plan {
 public:
  // kInvalidArgument for a graph that is not well formed, for unknown names and
  // for shapes that do not fit, with the node's name. kUnimplemented lists every
  // operation that is not supported together with its node, all at once.
  // The graph is not needed afterwards.
  static absl::StatusOr<std::shared_ptr<const Plan>> Compile(
      const tensorflow::GraphDef& graph, const PlanOptions& options);

  virtual ~Plan() = default;

  // In the order of the options.
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  virtual const std::vector<TensorSpec>& outputs() const = 0;
  virtual const PlanStats& stats() const = 0;

  virtual const std::vector<StepInfo>& steps() const = 0;

  virtual std::unique_ptr<ExecutionContext> NewContext() const = 0;

  // Computes the outputs. `inputs` and `outputs` are in the order of inputs()
  // and outputs(), with exactly their dtypes and shapes (kInvalidArgument
  // otherwise); the outputs are written in place. One call at a time per context;
  // calls with different contexts may run at once.
  virtual absl::Status Run(ExecutionContext& context, std::span<const Tensor> inputs,
                           std::span<Tensor> outputs) const = 0;

  // As Run, and says how long each of steps() took: `times` has as many entries.
  virtual absl::Status RunTimed(ExecutionContext& context, std::span<const Tensor> inputs,
                                std::span<Tensor> outputs,
                                std::span<std::chrono::nanoseconds> times) const = 0;
};

}  // namespace oriel::engine
