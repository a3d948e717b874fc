#include "graph/passes/fold_into_convolution.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "graph/graph_util.h"
#include "graph/subgraph.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

namespace {

// Scales in a row behind one convolution, each of which takes a look at the whole graph.
constexpr int kMaxRounds = 64;

bool IsConvolution(const NodeDef& node) {
  return node.op() == "Conv2D" || node.op() == "DepthwiseConv2dNative";
}

bool IsFloat(const NodeDef& node) {
  const auto type = GetType(node, "T");
  return type.ok() && *type == DType::kFloat32;
}

// The inputs of a bias: the value and the constant, in either order for Add.
struct BiasInputs {
  GraphIndex::Source value;
  ChannelValues constant;
};

std::optional<BiasInputs> FindBias(const GraphIndex& index, int i) {
  const std::string& op = index.node(i).op();
  const auto inputs = index.data_inputs(i);
  const bool add = op == "Add" || op == "AddV2";
  if (inputs.size() != 2 || (!add && op != "BiasAdd")) return std::nullopt;
  if (auto b = EvaluateChannels(index, inputs[1])) {
    return BiasInputs{inputs[0], std::move(*b)};
  }
  if (!add) return std::nullopt;
  if (auto b = EvaluateChannels(index, inputs[0])) {
    return BiasInputs{inputs[1], std::move(*b)};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Tensor> ReadWeights(const GraphIndex& index, int convolution, int weights,
                                   uint64_t& left) {
  const auto& proto = index.node(weights).attr().at("value").tensor();
  const std::string what = fmt::format("node '{}'", index.node(convolution).name());
  ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
  ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(shape, sizeof(float), what));
  if (elements * sizeof(float) > left) {
    return ResourceExhausted("{}: folded weights would take {} bytes, {} are left", what,
                             elements * sizeof(float), left);
  }
  ASSIGN_OR_RETURN(Tensor tensor, TensorFromProto(proto, what, left));
  left -= elements * sizeof(float);
  return tensor;
}

ConvolutionFolder::ConvolutionFolder(GraphDef& graph, const GraphIndex& index,
                                     const OptimizeOptions& options, uint64_t& bytes_left)
    : graph_(graph),
      index_(index),
      bytes_left_(bytes_left),
      outputs_(options.output_names.begin(), options.output_names.end()),
      names_(graph) {}

bool ConvolutionFolder::HasOneUse(int node) const {
  const auto uses = index_.uses(node);
  return uses.size() == 1 && !uses[0].control && uses[0].output == 0 &&
         !outputs_.contains(index_.node(node).name());
}

absl::StatusOr<std::optional<Convolution>> ConvolutionFolder::Find(
    GraphIndex::Source source) const {
  Convolution found;
  std::optional<BiasInputs> bias;
  if (source.output != 0 || !HasOneUse(source.node)) return std::nullopt;
  if (!IsConvolution(index_.node(source.node))) {
    bias = FindBias(index_, source.node);
    // Its control inputs would be lost with it.
    if (!bias || index_.HasControlInputs(source.node)) return std::nullopt;
    found.bias_node = source.node;
    source = bias->value;
    if (source.output != 0 || !HasOneUse(source.node)) return std::nullopt;
  }
  found.node = source.node;
  const NodeDef& node = index_.node(found.node);
  if (!IsConvolution(node) || !IsFloat(node)) return std::nullopt;
  ASSIGN_OR_RETURN(found.data_format, GetStringOr(node, "data_format", "NHWC"));
  if (found.data_format != "NHWC" && found.data_format != "NCHW") return std::nullopt;
  if (index_.data_inputs(found.node).size() != 2) return std::nullopt;
  found.weights = FindConst(index_, index_.data_inputs(found.node)[1]);
  if (found.weights == GraphIndex::kNone) return std::nullopt;

  const auto& proto = index_.node(found.weights).attr().at("value").tensor();
  if (proto.dtype() != tensorflow::DT_FLOAT) return std::nullopt;
  ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
  if (shape.rank() != 4) {
    return InvalidArgument(
        "node '{}' ({}): weights '{}' have shape {}, want 4 dimensions", node.name(),
        node.op(), index_.node(found.weights).name(), shape.ToString());
  }
  found.channels = node.op() == "Conv2D" ? shape.dim(3) : shape.dim(2) * shape.dim(3);
  if (found.channels < 1 || found.channels > kMaxChannels) return std::nullopt;
  found.bias.assign(found.channels, 0.0);
  if (!bias) return found;

  const NodeDef& bias_node = index_.node(found.bias_node);
  const auto& values = bias->constant.values;
  if (bias_node.op() == "BiasAdd") {
    ASSIGN_OR_RETURN(const std::string format,
                     GetStringOr(bias_node, "data_format", "NHWC"));
    if (bias->constant.rank != 1 || values.size() != found.channels ||
        format != found.data_format) {
      return InvalidArgument(
          "node '{}' (BiasAdd): bias of rank {} with {} values in {}, want {} values in "
          "{} "
          "for '{}'",
          bias_node.name(), bias->constant.rank, values.size(), format, found.channels,
          found.data_format, node.name());
    }
  } else if (found.data_format != "NHWC" ||
             (values.size() != 1 && values.size() != found.channels)) {
    return std::nullopt;  // not a bias by channel
  }
  for (int64_t c = 0; c < found.channels; ++c) found.bias[c] = bias->constant.at(c);
  return found;
}

absl::Status ConvolutionFolder::ScaleWeights(const Convolution& convolution,
                                             const ChannelValues& scale, Change& change) {
  ASSIGN_OR_RETURN(
      const Tensor old_weights,
      ReadWeights(index_, convolution.node, convolution.weights, bytes_left_));
  change.weights_name = names_.Unique(change.convolution_name + "_weights");
  change.weights = Tensor(DType::kFloat32, old_weights.shape());
  // [kh,kw,in,out], or [kh,kw,in,multiplier], whose output channel is in *
  // multiplier + m: in both the output channel is what varies fastest.
  const size_t channels = convolution.channels;
  const auto src = old_weights.data<float>();
  const auto dst = change.weights.mutable_data<float>();
  for (size_t i = 0; i < src.size(); i += channels) {
    for (size_t c = 0; c < channels; ++c) {
      dst[i + c] = static_cast<float>(src[i + c] * scale.at(c));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ConvolutionFolder::Fold(int root, const Convolution& convolution,
                                             const ChannelValues& scale,
                                             const ChannelValues& offset) {
  const size_t channels = convolution.channels;
  bool unscaled = true, has_offset = convolution.bias_node != GraphIndex::kNone;
  for (size_t c = 0; c < channels; ++c) {
    if (!std::isfinite(scale.at(c)) || !std::isfinite(offset.at(c))) return false;
    unscaled = unscaled && scale.at(c) == 1;
    has_offset = has_offset || offset.at(c) != 0;
  }
  Change change{.root = root,
                .convolution = convolution.node,
                .convolution_name = index_.node(convolution.node).name(),
                .data_format = convolution.data_format};
  if (!unscaled) RETURN_IF_ERROR(ScaleWeights(convolution, scale, change));
  if (has_offset) {
    change.offset_name = names_.Unique(change.convolution_name + "_bn_offset");
    change.offset = Tensor(DType::kFloat32, {convolution.channels});
    const auto sum = change.offset.mutable_data<float>();
    for (size_t c = 0; c < channels; ++c) {
      sum[c] = static_cast<float>(convolution.bias[c] * scale.at(c) + offset.at(c));
    }
  }
  changes_.push_back(std::move(change));
  return true;
}

NodeDef ConvolutionFolder::MakeRoot(const NodeDef& old, const Change& change,
                                    const NodeDef& convolution) const {
  NodeDef root;
  if (change.offset_name.empty()) {
    root = convolution;
  } else {
    root.set_op("BiasAdd");
    root.set_device(old.device());
    root.add_input(change.convolution_name);
    root.add_input(change.offset_name);
    SetType(root, "T", DType::kFloat32);
    SetString(root, "data_format", change.data_format);
  }
  root.set_name(old.name());
  for (const std::string& input : old.input()) {
    if (ParseInput(input).control) root.add_input(input);
  }
  return root;
}

int ConvolutionFolder::Apply() {
  std::unordered_map<int, const Change*> by_root, by_convolution;
  for (const Change& change : changes_) {
    by_root.emplace(change.root, &change);
    by_convolution.emplace(change.convolution, &change);
    if (!change.weights_name.empty()) {
      graph_.mutable_node(change.convolution)->set_input(1, change.weights_name);
    }
  }
  for (const Change& change : changes_) {
    NodeDef& root = *graph_.mutable_node(change.root);
    root = MakeRoot(root, change, graph_.node(change.convolution));
  }
  const auto add_const = [](GraphDef& graph, const std::string& name, const NodeDef& user,
                            const Tensor& value) {
    if (name.empty()) return;
    NodeDef* node = graph.add_node();
    node->set_name(name);
    node->set_op("Const");
    node->set_device(user.device());
    SetType(*node, "dtype", value.dtype());
    SetTensor(*node, "value", value);
  };
  GraphDef result;
  for (int i = 0; i < graph_.node_size(); ++i) {
    NodeDef& node = *graph_.mutable_node(i);
    if (const auto it = by_convolution.find(i); it != by_convolution.end()) {
      // Where the root is the convolution now, what is between still reads this one.
      add_const(result, it->second->weights_name, node, it->second->weights);
    }
    if (const auto it = by_root.find(i); it != by_root.end()) {
      add_const(result, it->second->offset_name, node, it->second->offset);
    }
    result.add_node()->Swap(&node);
  }
  graph_.mutable_node()->Swap(result.mutable_node());
  return static_cast<int>(changes_.size());
}

absl::StatusOr<int> FoldConvolutions(GraphDef& graph, const OptimizeOptions& options,
                                     NodeFolder fold_node) {
  int folded = 0;
  uint64_t bytes_left = options.max_constant_bytes;
  for (int round = 0; round < kMaxRounds; ++round) {
    int changes = 0;
    {
      ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
      ConvolutionFolder folder(graph, index, options, bytes_left);
      for (int i = 0; i < index.size(); ++i) {
        RETURN_IF_ERROR(fold_node(index, i, folder));
      }
      changes = folder.Apply();
    }
    if (changes == 0) break;
    folded += changes;
    ASSIGN_OR_RETURN(graph, ExtractSubGraph(std::move(graph), options.output_names));
  }
  return folded;
}

}  // namespace oriel::graph
