// Any GraphDef whose strings are images: cut in two, its front computed for a small PNG
// and for bytes that are none, the network compiled and run. Functions are inlined on the
// way.

#include "engine/dynamic_plan.h"
#include "graph/graph_util.h"

namespace {

using oriel::Shape;
using oriel::Tensor;
using oriel::engine::DynamicPlan;
using oriel::engine::PlanOptions;

// 2 x 1 pixels, red and green.
constexpr unsigned char kPng[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
    0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01,
    0x08, 0x02, 0x00, 0x00, 0x00, 0x7b, 0x40, 0xe8, 0xdd, 0x00, 0x00, 0x00,
    0x0f, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0xc0,
    0xf0, 0x9f, 0x01, 0x00, 0x07, 0xff, 0x01, 0xff, 0xb8, 0x04, 0x35, 0xe0,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

// The front of a hostile graph may ask for much memory; the fuzzer's limit is smaller.
constexpr uint64_t kMaxBytes = 1 << 20;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto graph = oriel::graph::ParseGraphDef({data, size}, "input");
  if (!graph.ok() || graph->node_size() == 0) return 0;
  PlanOptions options;
  options.threads = 1;
  options.backend = oriel::engine::Backend::kReference;
  options.outputs = {graph->node(graph->node_size() - 1).name()};
  std::vector<Tensor> inputs;
  for (const std::string& name : oriel::engine::StringInputs(*graph)) {
    const auto shape = oriel::engine::StringInputShape(*graph, name);
    if (!shape.ok()) return 0;
    options.inputs.emplace_back(name, *shape);
    inputs.emplace_back(oriel::DType::kString, *shape);
  }
  const auto plan = DynamicPlan::Create(*graph, options, kMaxBytes);
  if (!plan.ok()) return 0;
  for (const std::string& bytes :
       {std::string(kPng, kPng + sizeof(kPng)), std::string("no image")}) {
    for (Tensor& input : inputs) {
      input = Tensor(oriel::DType::kString, input.shape());
      input.mutable_strings()[0] = bytes;
    }
    (void)(*plan)->Run(inputs);
  }
  return 0;
}
