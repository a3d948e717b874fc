#include "graph/optimize.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "graph/passes/passes.h"
#include "graph/subgraph.h"
#include "graph/validate.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;

absl::StatusOr<int> ExtractOutputs(GraphDef& graph, const OptimizeOptions& options) {
  const int before = graph.node_size();
  ASSIGN_OR_RETURN(graph, ExtractSubGraph(std::move(graph), options.output_names));
  return before - graph.node_size();
}

// Run order. OptimizeForInference validates, times, and can skip each by name.
constexpr Pass kPasses[] = {
    {"placeholder_to_const", "Bool placeholders that are named become constants",
     ConvertPlaceholders},
    {"placeholders", "Inputs become Placeholders", RewritePlaceholders},
    {"extract_sub_graph", "Keep what the outputs need", ExtractOutputs},
    {"inline_calls", "Calls of functions become the functions' nodes", InlineCalls, true},
    {"fold_branches", "Switch and Merge with a constant predicate", FoldBranches, true},
    {"remove_control_inputs", "Waiting for nodes that only compute", RemoveControlInputs,
     true},
    // What follows sees constants without Identity in between.
    {"remove_training_nodes", "Splice out Identity, StopGradient, CheckNumerics",
     RemoveTrainingNodes},
    {"fold_constants", "Compute what depends on constants alone", FoldConstants, true},
    {"remove_dropout", "Dropout becomes what it is on average", RemoveDropout, true},
    {"fold_batch_norm", "Batch norm into the convolution before it", FoldBatchNorm},
    {"fold_mul_add", "Scales and offsets into the convolution before them", FoldMulAdd},
    {"fold_input_scale", "Scales into the convolution behind them", FoldInputScale},
    {"fold_remaining_constants", "Compute what no convolution took",
     FoldRemainingConstants, true},
    {"fuse_resize_and_conv", "Resize and mirror pad into the convolution behind them",
     FuseResizeAndConv, true},
    {"remove_unused", "Drop what no output needs any more", ExtractOutputs},
};

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status CheckPassNames(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const bool known = std::any_of(std::begin(kPasses), std::end(kPasses),
                                   [&](const Pass& pass) { return name == pass.name; });
    if (known) continue;
    std::vector<std::string_view> all;
    for (const Pass& pass : kPasses) all.emplace_back(pass.name);
    return InvalidArgument("there is no pass '{}'; the passes are {}", name,
                           fmt::join(all, ", "));
  }
  return absl::OkStatus();
}

}  // namespace

std::span<const Pass> Passes() { return kPasses; }

absl::StatusOr<GraphDef> OptimizeForInference(GraphDef graph,
                                              const OptimizeOptions& options) {
  if (options.output_names.empty()) {
    return InvalidArgument("no output names: nothing to optimize for");
  }
  RETURN_IF_ERROR(CheckPassNames(options.only));
  RETURN_IF_ERROR(CheckPassNames(options.skip));
  RETURN_IF_ERROR(ValidateGraph(graph));
  for (const Pass& pass : kPasses) {
    if (!options.only.empty() && !Contains(options.only, pass.name)) continue;
    if (Contains(options.skip, pass.name)) continue;
    PassReport report{.name = pass.name, .nodes_before = graph.node_size()};
    const auto begin = std::chrono::steady_clock::now();
    ASSIGN_OR_RETURN(report.changes, pass.run(graph, options));
    if (report.changes > 0 && pass.leaves_unused) {
      ASSIGN_OR_RETURN(graph, ExtractSubGraph(std::move(graph), options.output_names));
    }
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    report.nodes_after = graph.node_size();
    if (absl::Status status = ValidateGraph(graph); !status.ok()) {
      return Annotate(status, fmt::format("after pass {}", pass.name));
    }
    if (options.on_pass) options.on_pass(report);
  }
  return graph;
}

}  // namespace oriel::graph
