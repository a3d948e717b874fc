#include "graph/compatible/steps.h"
#include "graph/graph_util.h"

namespace oriel::graph::compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

namespace {

// How often each node is read, outputs counted once more.
std::unordered_map<std::string, int> CountReferences(const GraphDef& graph,
                                                     const CompatibleOptions& options) {
  std::unordered_map<std::string, int> counts;
  for (const NodeDef& node : graph.node()) {
    for (const std::string& input : node.input()) {
      ++counts[std::string(NodeNameFromInput(input))];
    }
  }
  for (const std::string& name : options.output_names) ++counts[name];
  return counts;
}

struct Fusion {
  NodeDef* convolution = nullptr;
  NodeDef* pad = nullptr;     // or null
  NodeDef* resize = nullptr;  // or null
};

absl::StatusOr<Fusion> Find(const NodeMap& map, NodeDef& convolution) {
  Fusion fusion{.convolution = &convolution};
  ASSIGN_OR_RETURN(NodeDef * source, map.Input(convolution, 0));
  if (source->op() == "MirrorPad") {
    fusion.pad = source;
    ASSIGN_OR_RETURN(source, map.Input(*fusion.pad, 0));
  }
  if (source->op() == "ResizeBilinear") fusion.resize = source;
  return fusion;
}

// Paddings of nothing, for a resize without pad.
NodeDef NoPaddings(const std::string& name) {
  NodeDef node;
  node.set_name(name);
  node.set_op("Const");
  SetType(node, "dtype", DType::kInt32);
  SetTensor(node, "value", Tensor(DType::kInt32, {4, 2}));
  return node;
}

absl::Status Fuse(const Fusion& fusion, std::vector<NodeDef>& added) {
  NodeDef fused;
  NodeDef& convolution = *fusion.convolution;
  fused.set_name(convolution.name());
  fused.set_op(fusion.resize ? "FusedResizeAndPadConv2D" : "FusedPadConv2D");
  auto& attrs = *fused.mutable_attr();
  std::string paddings;
  if (fusion.pad != nullptr) {
    ASSIGN_OR_RETURN(paddings, InputText(*fusion.pad, 1));
    attrs["mode"] = (*fusion.pad->mutable_attr())["mode"];
  } else {
    paddings = convolution.name() + "_dummy_paddings";
    added.push_back(NoPaddings(paddings));
    attrs["mode"].set_s("REFLECT");
  }
  NodeDef& first = fusion.resize ? *fusion.resize : *fusion.pad;
  for (int k = 0; k < (fusion.resize ? 2 : 1); ++k) {
    ASSIGN_OR_RETURN(*fused.add_input(), InputText(first, k));
  }
  fused.add_input(paddings);
  ASSIGN_OR_RETURN(*fused.add_input(), InputText(convolution, 1));
  if (fusion.resize != nullptr) {
    attrs["resize_align_corners"] = (*fusion.resize->mutable_attr())["align_corners"];
  }
  for (const char* attr : {"T", "strides", "padding"}) {
    attrs[attr] = (*convolution.mutable_attr())[attr];
  }
  added.push_back(std::move(fused));
  return absl::OkStatus();
}

}  // namespace

absl::Status FuseResizeAndConv(GraphDef& graph, const CompatibleOptions& options) {
  ASSIGN_OR_RETURN(const NodeMap map, NodeMap::Create(graph));
  auto counts = CountReferences(graph, options);
  std::vector<NodeDef> added;
  for (NodeDef& node : *graph.mutable_node()) {
    if (node.op() != "Conv2D") continue;
    ASSIGN_OR_RETURN(const Fusion fusion, Find(map, node));
    if (fusion.pad == nullptr && fusion.resize == nullptr) continue;
    counts[node.name()] = 0;
    if (fusion.pad != nullptr) --counts[fusion.pad->name()];
    if (fusion.resize != nullptr) --counts[fusion.resize->name()];
    RETURN_IF_ERROR(Fuse(fusion, added));
  }
  NameSet unread;
  for (const NodeDef& node : graph.node()) {
    if (counts[node.name()] < 1) unread.insert(node.name());
  }
  GraphDef result;
  for (NodeDef& node : *graph.mutable_node()) {
    if (!unread.contains(node.name())) result.add_node()->Swap(&node);
  }
  for (NodeDef& node : added) result.add_node()->Swap(&node);
  graph.Swap(&result);
  return absl::OkStatus();
}

}  // namespace oriel::graph::compatible
