// Any GraphDef to the engine: compiled for its own last node, on all backends, in f32 and
// bf16; what compiles small is run, and all must agree on what can be computed.

#include <cstdlib>

#include "engine/plan.h"
#include "graph/graph_util.h"

namespace {

using oriel::DType;
using oriel::Shape;
using oriel::Tensor;
using oriel::engine::Backend;
using oriel::engine::Plan;
using oriel::engine::PlanOptions;
using oriel::engine::Precision;

constexpr size_t kMaxBytes = 1 << 16;  // of activations: larger plans are not run

bool Small(const Plan& plan) {
  size_t bytes = plan.stats().activation_bytes + plan.stats().weight_bytes;
  for (const auto* specs : {&plan.inputs(), &plan.outputs()}) {
    for (const auto& spec : *specs) {
      bytes += spec.shape.elements() * oriel::ElementSize(spec.dtype);
    }
  }
  return bytes <= kMaxBytes;
}

void RunOnce(const Plan& plan) {
  std::vector<Tensor> inputs, outputs;
  for (const auto& spec : plan.inputs()) inputs.emplace_back(spec.dtype, spec.shape);
  for (const auto& spec : plan.outputs()) outputs.emplace_back(spec.dtype, spec.shape);
  const auto context = plan.NewContext();
  if (!plan.Run(*context, inputs, outputs).ok()) std::abort();
}

// Unknown sizes of placeholders become 3, unknown shapes [2,3].
std::vector<std::pair<std::string, Shape>> InputShapes(
    const tensorflow::GraphDef& graph) {
  std::vector<std::pair<std::string, Shape>> inputs;
  for (const tensorflow::NodeDef& node : graph.node()) {
    if (node.op() != "Placeholder") continue;
    const auto it = node.attr().find("shape");
    std::vector<int64_t> dims;
    if (it == node.attr().end() || it->second.shape().unknown_rank()) {
      dims = {2, 3};
    } else {
      for (const auto& dim : it->second.shape().dim()) {
        dims.push_back(dim.size() == -1 ? 3 : dim.size());
      }
    }
    inputs.emplace_back(node.name(), Shape(std::move(dims)));
  }
  return inputs;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto graph = oriel::graph::ParseGraphDef({data, size}, "input");
  if (!graph.ok() || graph->node_size() == 0) return 0;
  PlanOptions options;
  options.threads = 1;
  options.inputs = InputShapes(*graph);
  options.outputs = {graph->node(graph->node_size() - 1).name()};
  bool reference = false;
  for (const Backend backend :
       {Backend::kReference, Backend::kOneDnn, Backend::kNative}) {
    for (const Precision precision : {Precision::kF32, Precision::kBf16}) {
      options.backend = backend;
      options.precision = precision;
      const auto plan = Plan::Compile(*graph, options);
      if (backend == Backend::kReference && precision == Precision::kF32) {
        reference = plan.ok();
      }
      if (plan.ok() && Small(**plan)) RunOnce(**plan);
      if (reference && !plan.ok()) std::abort();
    }
  }
  return 0;
}
