// The steps of OptimizeCompatibly, one function of the original each, and what they
// share. They keep its order of tests and of nodes. Reading an attribute that is missing
// makes an empty one, as reading it does in Python.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "graph/compatible/optimize.h"

namespace oriel::graph::compatible {

using NameSet = std::unordered_set<std::string>;

// Nodes by name. Borrows the graph, which must not gain or lose nodes meanwhile.
class NodeMap {
 public:
  // kInvalidArgument "Duplicate node names detected for <name>".
  static absl::StatusOr<NodeMap> Create(tensorflow::GraphDef& graph);

  // The node that an input's text names; kInvalidArgument when there is none.
  absl::StatusOr<tensorflow::NodeDef*> Get(std::string_view input) const;
  // The node that input `k` of `node` names.
  absl::StatusOr<tensorflow::NodeDef*> Input(const tensorflow::NodeDef& node,
                                             int k) const;

 private:
  std::unordered_map<std::string_view, tensorflow::NodeDef*> nodes_;
};

// "a" from "^a" and from "a:1".
std::string_view NodeNameFromInput(std::string_view input);

// Input `k` as text; kInvalidArgument when there are fewer.
absl::StatusOr<std::string> InputText(const tensorflow::NodeDef& node, int k);

// Drops the nodes in `skip`, control inputs from them and the function library, and puts
// `added` at the end.
void Rebuild(tensorflow::GraphDef& graph, const NameSet& skip,
             std::vector<tensorflow::NodeDef> added);

absl::Status EnsureGraphIsValid(const tensorflow::GraphDef& graph);
absl::Status ConvertPlaceholderToConst(tensorflow::GraphDef& graph,
                                       const CompatibleOptions& options);
absl::Status StripUnused(tensorflow::GraphDef& graph, const CompatibleOptions& options);
absl::Status RemoveTrainingNodes(tensorflow::GraphDef& graph,
                                 const CompatibleOptions& options);
absl::Status FuseDecomposedBatchNorm(tensorflow::GraphDef& graph,
                                     const CompatibleOptions& options);
absl::Status FoldBatchNorms(tensorflow::GraphDef& graph,
                            const CompatibleOptions& options);
absl::Status FuseResizeAndConv(tensorflow::GraphDef& graph,
                               const CompatibleOptions& options);

}  // namespace oriel::graph::compatible
