#include <cmath>
#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/fold_into_convolution.h"
#include "graph/passes/new_names.h"
#include "graph/passes/passes.h"
#include "graph/subgraph.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// image = value * scale, for a convolution that reads the image.
struct ScaledInput {
  GraphIndex::Source value;
  ChannelValues scale;
};

class InputScaleFolder {
 public:
  InputScaleFolder(GraphDef& graph, const GraphIndex& index,
                   const OptimizeOptions& options)
      : graph_(graph),
        index_(index),
        left_(options.max_constant_bytes),
        outputs_(options.output_names.begin(), options.output_names.end()),
        names_(graph) {}

  absl::StatusOr<bool> Fold(int convolution) {
    const NodeDef& node = index_.node(convolution);
    const auto inputs = index_.data_inputs(convolution);
    const auto type = GetType(node, "T");
    if ((node.op() != "Conv2D" && node.op() != "DepthwiseConv2dNative") ||
        inputs.size() != 2 || !type.ok() || *type != DType::kFloat32) {
      return false;
    }
    const auto scaled = Find(inputs[0]);
    const int weights = FindConst(index_, inputs[1]);
    if (!scaled || weights == GraphIndex::kNone) return false;
    ASSIGN_OR_RETURN(const bool fits, Fits(node, weights, scaled->scale));
    if (!fits) return false;
    ASSIGN_OR_RETURN(const Tensor old, ReadWeights(index_, convolution, weights, left_));
    AddWeights(convolution, old, scaled->scale);
    graph_.mutable_node(convolution)
        ->set_input(
            0, FormatInput(index_.node(scaled->value.node).name(), scaled->value.output));
    return true;
  }

  void AddConstants() {
    for (NodeDef& node : added_) graph_.add_node()->Swap(&node);
  }

 private:
  // Multiplication or division by a constant that nothing else reads.
  std::optional<ScaledInput> Find(GraphIndex::Source image) const {
    const NodeDef& node = index_.node(image.node);
    const auto uses = index_.uses(image.node);
    const auto operands = index_.data_inputs(image.node);
    if (image.output != 0 || uses.size() != 1 || uses[0].control ||
        operands.size() != 2 || index_.HasControlInputs(image.node) ||
        outputs_.contains(node.name())) {
      return std::nullopt;
    }
    for (int k = 0; k < (node.op() == "Mul" ? 2 : node.op() == "RealDiv" ? 1 : 0); ++k) {
      auto scale = EvaluateChannels(index_, operands[1 - k]);
      if (!scale) continue;
      bool finite = true;
      for (double& v : scale->values) {
        if (node.op() == "RealDiv") v = 1 / v;
        finite = finite && std::isfinite(v);
      }
      if (finite) return ScaledInput{operands[k], std::move(*scale)};
    }
    return std::nullopt;
  }

  // One scale for all, or one for each of the weights' input channels.
  absl::StatusOr<bool> Fits(const NodeDef& node, int weights,
                            const ChannelValues& scale) const {
    const auto& proto = index_.node(weights).attr().at("value").tensor();
    if (proto.dtype() != tensorflow::DT_FLOAT) return false;
    ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
    ASSIGN_OR_RETURN(const std::string format, GetStringOr(node, "data_format", "NHWC"));
    return shape.rank() == 4 &&
           (scale.values.size() == 1 ||
            (format == "NHWC" && scale.values.size() == shape.dim(2)));
  }

  // [kh,kw,in,out] or [kh,kw,in,multiplier].
  void AddWeights(int convolution, const Tensor& old, const ChannelValues& scale) {
    const auto inputs = static_cast<size_t>(old.shape().dim(2));
    const auto outputs = static_cast<size_t>(old.shape().dim(3));
    Tensor scaled(DType::kFloat32, old.shape());
    const auto src = old.data<float>();
    const auto dst = scaled.mutable_data<float>();
    for (size_t i = 0; i < src.size(); ++i) {
      dst[i] = static_cast<float>(src[i] * scale.at(i / outputs % inputs));
    }
    NodeDef& user = *graph_.mutable_node(convolution);
    NodeDef& node = added_.emplace_back();
    node.set_name(names_.Unique(user.name() + "_weights"));
    node.set_op("Const");
    node.set_device(user.device());
    SetType(node, "dtype", DType::kFloat32);
    SetTensor(node, "value", scaled);
    user.set_input(1, node.name());
  }

  GraphDef& graph_;
  const GraphIndex& index_;
  uint64_t left_;
  std::unordered_set<std::string> outputs_;
  NewNames names_;
  std::vector<NodeDef> added_;
};

}  // namespace

absl::StatusOr<int> FoldInputScale(GraphDef& graph, const OptimizeOptions& options) {
  int folds = 0;
  {
    ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
    InputScaleFolder folder(graph, index, options);
    for (int i = 0; i < index.size(); ++i) {
      ASSIGN_OR_RETURN(const bool folded, folder.Fold(i));
      folds += folded;
    }
    folder.AddConstants();
  }
  if (folds > 0) {
    ASSIGN_OR_RETURN(graph, ExtractSubGraph(std::move(graph), options.output_names));
  }
  return folds;
}

}  // namespace oriel::graph
