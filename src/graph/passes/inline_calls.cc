#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "graph/inline_functions.h"
#include "graph/passes/passes.h"

namespace oriel::graph {

absl::StatusOr<int> InlineCalls(tensorflow::GraphDef& graph,
                                const OptimizeOptions& options) {
  std::unordered_set<std::string_view> callable = {"PartitionedCall",
                                                   "StatefulPartitionedCall"};
  for (const auto& function : graph.library().function()) {
    callable.insert(function.signature().name());
  }
  const auto calls = static_cast<int>(
      std::count_if(graph.node().begin(), graph.node().end(),
                    [&](const auto& node) { return callable.contains(node.op()); }));
  if (calls == 0) return 0;
  auto inlined = InlineFunctions(graph, options.max_constant_bytes);
  if (!inlined.ok()) {
    if (options.warn) {
      options.warn(fmt::format("calls of functions stay: {}", Message(inlined.status())));
    }
    return 0;
  }
  graph = *std::move(inlined);
  return calls;
}

}  // namespace oriel::graph
