// A GraphDef from arbitrary bytes: read, validated, optimized, frozen. What
// comes out must be well formed.

#include <cstdlib>

#include "engine/evaluate.h"
#include "fuzz/zeros.h"
#include "graph/compatible/optimize.h"
#include "graph/freeze.h"
#include "graph/graph_util.h"
#include "graph/optimize.h"
#include "graph/validate.h"

namespace {

void Check(const absl::StatusOr<tensorflow::GraphDef>& result) {
  if (result.ok() && !oriel::graph::ValidateGraph(*result).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using oriel::graph::OptimizeForInference;
  if (size == 0) return 0;
  // The first byte chooses between the binary and the text form.
  const auto parsed = oriel::graph::ParseGraphDef({data + 1, size - 1}, "fuzz",
                                                  /*text=*/(data[0] & 1) != 0);
  if (!parsed.ok() || parsed->node_size() == 0) return 0;
  const tensorflow::GraphDef& graph = *parsed;
  oriel::graph::OptimizeOptions options;
  options.max_constant_bytes = 16 << 20;
  options.output_names = {graph.node(graph.node_size() - 1).name()};
  options.evaluate = oriel::engine::EvaluateNode;
  Check(OptimizeForInference(graph, options));
  // The original's own graphs may be broken, but not our program.
  oriel::graph::OptimizeCompatibly(graph,
                                   {.input_names = {graph.node(0).name()},
                                    .output_names = options.output_names,
                                    .max_constant_bytes = options.max_constant_bytes})
      .status()
      .IgnoreError();
  options.input_names = {graph.node(0).name()};
  const auto once = OptimizeForInference(graph, options);
  Check(once);
  if (once.ok()) Check(OptimizeForInference(*once, options));
  const oriel::Zeros variables(graph);
  Check(oriel::graph::FreezeGraph(graph, variables,
                                  {.output_node_names = options.output_names}));
  return 0;
}
