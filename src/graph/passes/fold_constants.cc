#include <map>
#include <numeric>
#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/constant_value.h"
#include "graph/passes/new_names.h"
#include "graph/passes/passes.h"
#include "graph/passes/pure.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// A constant may be larger than what it is made of by this much: shapes and fillings
// vanish, and no large tensor is written out that three numbers describe.
constexpr uint64_t kGrowth = 64 << 10;

uint64_t Bytes(std::span<const Tensor> tensors) {
  uint64_t bytes = 0;
  for (const Tensor& tensor : tensors) bytes += tensor.bytes().size();
  return bytes;
}

class ConstantFolder {
 public:
  ConstantFolder(const GraphIndex& index, const OptimizeOptions& options, bool everything)
      : index_(index),
        options_(options),
        everything_(everything),
        left_(options.max_constant_bytes),
        kept_(options.input_names.begin(), options.input_names.end()) {}

  void Find() {
    for (const int i : index_.topological_order()) Visit(i);
  }

  // Puts a Const in the place of each node that was computed, and one more before it for
  // each of its other outputs that are read.
  int Apply(GraphDef& graph) {
    NewNames names(graph);
    std::map<std::pair<int, int>, std::string> name_of;
    std::vector<NodeDef> more;
    for (const auto& [i, outputs] : values_) {
      std::unordered_set<int> read;
      for (const auto& use : index_.uses(i)) {
        if (!use.control && use.output > 0) read.insert(use.output);
      }
      for (size_t k = 1; k < outputs.size(); ++k) {
        if (!read.contains(static_cast<int>(k))) continue;
        more.push_back(
            MakeConst(names.Unique(fmt::format("{}/output_{}", index_.node(i).name(), k)),
                      index_.node(i), outputs[k]));
        name_of[{i, k}] = more.back().name();
      }
    }
    for (const auto& [endpoint, name] : name_of) {
      for (const auto& use : index_.uses(endpoint.first)) {
        if (use.control || use.output != endpoint.second) continue;
        graph.mutable_node(use.node)->set_input(use.input, name);
      }
    }
    for (const auto& [i, outputs] : values_) {
      NodeDef& node = *graph.mutable_node(i);
      NodeDef constant = MakeConst(node.name(), node, outputs[0]);
      node.Swap(&constant);
    }
    for (NodeDef& node : more) graph.add_node()->Swap(&node);
    return static_cast<int>(values_.size());
  }

 private:
  static NodeDef MakeConst(const std::string& name, const NodeDef& like,
                           const Tensor& value) {
    NodeDef node;
    node.set_name(name);
    node.set_op("Const");
    node.set_device(like.device());
    SetType(node, "dtype", value.dtype());
    SetTensor(node, "value", value);
    return node;
  }

  bool IsConstant(const GraphIndex::Source& source) const {
    if (const auto it = values_.find(source.node); it != values_.end()) {
      return source.output < static_cast<int>(it->second.size());
    }
    return index_.node(source.node).op() == "Const" && source.output == 0 &&
           !index_.HasControlInputs(source.node);
  }

  // nullopt for types that are no tensors of ours, and past the bytes that are left: one
  // value in the graph may stand for a huge tensor.
  std::optional<Tensor> Value(const GraphIndex::Source& source) {
    const auto it = values_.find(source.node);
    if (it != values_.end()) return it->second[source.output];
    const NodeDef& node = index_.node(source.node);
    auto value = TensorFromProto(node.attr().at("value").tensor(), node.name(), left_);
    if (!value.ok() || value->dtype() == DType::kString) return std::nullopt;
    left_ -= std::min<uint64_t>(left_, value->bytes().size());
    return *std::move(value);
  }

  // Left to the passes that fold scales, which compute in double.
  bool IsScale(int i) const {
    return !everything_ && EvaluateChannels(index_, {.node = i}).has_value();
  }

  void Visit(int i) {
    const NodeDef& node = index_.node(i);
    const auto sources = index_.data_inputs(i);
    // A default is a constant only until somebody feeds the placeholder.
    if (sources.empty() || index_.HasControlInputs(i) || kept_.contains(node.name()) ||
        !IsPure(node.op()) || node.op() == "PlaceholderWithDefault") {
      return;
    }
    for (const auto& source : sources) {
      if (!IsConstant(source)) return;
    }
    if (IsScale(i)) return;
    std::vector<Tensor> inputs;
    for (const auto& source : sources) {
      auto value = Value(source);
      if (!value) return;
      inputs.push_back(*std::move(value));
    }
    auto outputs =
        options_.evaluate(node, inputs, std::min(left_, Bytes(inputs) + kGrowth));
    if (!outputs || outputs->empty()) return;
    left_ -= std::min(left_, Bytes(*outputs));
    values_.emplace(i, std::move(*outputs));
  }

  const GraphIndex& index_;
  const OptimizeOptions& options_;
  const bool everything_;
  uint64_t left_;  // bytes to read and to make
  std::unordered_set<std::string> kept_;
  std::map<int, std::vector<Tensor>> values_;  // by node
};

absl::StatusOr<int> Fold(GraphDef& graph, const OptimizeOptions& options,
                         bool everything) {
  if (!options.evaluate) return 0;
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  ConstantFolder folder(index, options, everything);
  folder.Find();
  return folder.Apply(graph);
}

}  // namespace

absl::StatusOr<int> FoldConstants(GraphDef& graph, const OptimizeOptions& options) {
  return Fold(graph, options, /*everything=*/false);
}

absl::StatusOr<int> FoldRemainingConstants(GraphDef& graph,
                                           const OptimizeOptions& options) {
  return Fold(graph, options, /*everything=*/true);
}

}  // namespace oriel::graph
