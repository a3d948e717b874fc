#include <algorithm>
#include <array>
#include <unordered_set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/constant_value.h"
#include "graph/passes/new_names.h"
#include "graph/passes/passes.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool IsFloat(const NodeDef& node) {
  const auto type = GetType(node, "T");
  return type.ok() && *type == DType::kFloat32;
}

// What passes its first input's number of images on.
bool KeepsBatch(const std::string& op) {
  static const auto* const ops =
      new std::unordered_set<std::string_view>{"Identity",
                                               "Conv2D",
                                               "DepthwiseConv2dNative",
                                               "BiasAdd",
                                               "FusedBatchNorm",
                                               "FusedBatchNormV2",
                                               "FusedBatchNormV3",
                                               "Relu",
                                               "Relu6",
                                               "Elu",
                                               "LeakyRelu",
                                               "Sigmoid",
                                               "Tanh",
                                               "MaxPool",
                                               "AvgPool",
                                               "ResizeBilinear",
                                               "Cast",
                                               "CheckNumerics",
                                               "StopGradient",
                                               "MirrorPad",
                                               "FusedPadConv2D",
                                               "FusedResizeAndPadConv2D"};
  return ops->contains(op);
}

class Fuser {
 public:
  Fuser(GraphDef& graph, const GraphIndex& index, const OptimizeOptions& options)
      : graph_(graph),
        index_(index),
        outputs_(options.output_names.begin(), options.output_names.end()),
        names_(graph) {}

  bool Fuse(int convolution) {
    if (!IsPlainConvolution(convolution)) return false;
    const auto inputs = index_.data_inputs(convolution);
    int pad = GraphIndex::kNone, resize = GraphIndex::kNone;
    GraphIndex::Source image = inputs[0];
    if (IsPad(image)) {
      pad = image.node;
      image = index_.data_inputs(pad)[0];
    }
    if (IsResize(image)) {
      resize = image.node;
      image = index_.data_inputs(resize)[0];
    }
    if ((pad == GraphIndex::kNone && resize == GraphIndex::kNone) || !IsOneImage(image)) {
      return false;
    }
    Replace(convolution, pad, resize);
    return true;
  }

  // Constants that the fused nodes read, at the end of the graph.
  void AddConstants() {
    for (NodeDef& node : added_) graph_.add_node()->Swap(&node);
  }

 private:
  // The fused operations have no attributes for layout, dilation and padding by
  // numbers.
  bool IsPlainConvolution(int i) const {
    const NodeDef& node = index_.node(i);
    if (node.op() != "Conv2D" || !IsFloat(node) || index_.data_inputs(i).size() != 2) {
      return false;
    }
    const auto format = GetStringOr(node, "data_format", "NHWC");
    const auto padding = GetString(node, "padding");
    const auto dilations = GetIntsOr(node, "dilations", {1, 1, 1, 1});
    const auto strides = GetInts(node, "strides");
    return format.ok() && *format == "NHWC" && padding.ok() &&
           (*padding == "SAME" || *padding == "VALID") && dilations.ok() &&
           std::all_of(dilations->begin(), dilations->end(),
                       [](int64_t d) { return d == 1; }) &&
           strides.ok() && strides->size() == 4;
  }

  // The node may vanish: only the one that asks reads it.
  bool IsOwn(GraphIndex::Source source) const {
    const auto uses = index_.uses(source.node);
    return source.output == 0 && uses.size() == 1 && !uses[0].control &&
           !index_.HasControlInputs(source.node) &&
           !outputs_.contains(index_.node(source.node).name()) &&
           index_.data_inputs(source.node).size() == 2;
  }

  // The int32 of a Const, if they have that shape.
  std::optional<Tensor> ReadIntegers(int constant, const Shape& want) const {
    const auto& value = index_.node(constant).attr().at("value").tensor();
    const auto shape = ShapeFromProto(value.tensor_shape());
    if (value.dtype() != tensorflow::DT_INT32 || !shape.ok() || *shape != want) {
      return std::nullopt;
    }
    auto tensor = ConstValue(index_.node(constant));
    return tensor.ok() ? std::optional(*std::move(tensor)) : std::nullopt;
  }

  // Paddings of lines and columns alone.
  bool IsPad(GraphIndex::Source source) const {
    const NodeDef& node = index_.node(source.node);
    if (node.op() != "MirrorPad" || !IsOwn(source) || !IsFloat(node) ||
        !GetString(node, "mode").ok()) {
      return false;
    }
    const int constant = FindConst(index_, index_.data_inputs(source.node)[1]);
    if (constant == GraphIndex::kNone) return false;
    const auto paddings = ReadIntegers(constant, {4, 2});
    if (!paddings) return false;
    const auto values = paddings->data<int32_t>();
    return values[0] == 0 && values[1] == 0 && values[6] == 0 && values[7] == 0 &&
           *std::min_element(values.begin(), values.end()) >= 0;
  }

  // Of float32 images, without half_pixel_centers.
  bool IsResize(GraphIndex::Source source) const {
    const NodeDef& node = index_.node(source.node);
    if (node.op() != "ResizeBilinear" || !IsOwn(source) || !IsFloat(node)) return false;
    const auto half = GetBoolOr(node, "half_pixel_centers", false);
    return half.ok() && !*half && GetBoolOr(node, "align_corners", false).ok();
  }

  // TensorFlow's kernels of the fused operations get only the first image of a batch
  // right, so that there must be no other.
  bool IsOneImage(GraphIndex::Source source) const {
    for (int steps = 0; steps < index_.size() && source.output == 0; ++steps) {
      const NodeDef& node = index_.node(source.node);
      const auto inputs = index_.data_inputs(source.node);
      if (node.op() == "Placeholder") {
        const auto shape = DeclaredShape(graph_, node);
        return shape.ok() && *shape && (*shape)->rank() == 4 && (*shape)->dim(0) == 1;
      }
      if (node.op() == "ExpandDims" && inputs.size() == 2) {
        const int axis = FindConst(index_, inputs[1]);
        if (axis == GraphIndex::kNone) return false;
        const auto value = ReadIntegers(axis, {});
        return value && value->data<int32_t>()[0] == 0;
      }
      if (inputs.empty() || !KeepsBatch(node.op())) return false;
      source = inputs[0];
    }
    return false;
  }

  std::string NoPaddings(const std::string& convolution) {
    NodeDef& node = added_.emplace_back();
    node.set_name(names_.Unique(convolution + "_dummy_paddings"));
    node.set_op("Const");
    SetType(node, "dtype", DType::kInt32);
    SetTensor(node, "value", Tensor(DType::kInt32, {4, 2}));
    return node.name();
  }

  void Replace(int convolution, int pad, int resize) {
    NodeDef& node = *graph_.mutable_node(convolution);
    NodeDef fused;
    fused.set_name(node.name());
    fused.set_device(node.device());
    if (resize != GraphIndex::kNone) {
      const NodeDef& from = index_.node(resize);
      fused.set_op("FusedResizeAndPadConv2D");
      fused.add_input(from.input(0));
      fused.add_input(from.input(1));
      SetBool(fused, "resize_align_corners", *GetBoolOr(from, "align_corners", false));
    } else {
      fused.set_op("FusedPadConv2D");
      fused.add_input(index_.node(pad).input(0));
    }
    if (pad != GraphIndex::kNone) {
      fused.add_input(index_.node(pad).input(1));
      (*fused.mutable_attr())["mode"] = index_.node(pad).attr().at("mode");
    } else {
      fused.add_input(NoPaddings(node.name()));
      SetString(fused, "mode", "REFLECT");
    }
    for (int k = 1; k < node.input_size(); ++k) fused.add_input(node.input(k));
    for (const char* attr : {"T", "strides", "padding"}) {
      (*fused.mutable_attr())[attr] = node.attr().at(attr);
    }
    node.Swap(&fused);
  }

  GraphDef& graph_;
  const GraphIndex& index_;
  std::unordered_set<std::string> outputs_;
  NewNames names_;
  std::vector<NodeDef> added_;
};

}  // namespace

absl::StatusOr<int> FuseResizeAndConv(GraphDef& graph, const OptimizeOptions& options) {
  if (options.toco_compatible) return 0;
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  Fuser fuser(graph, index, options);
  int fused = 0;
  for (int i = 0; i < index.size(); ++i) fused += fuser.Fuse(i);
  fuser.AddConstants();
  return fused;
}

}  // namespace oriel::graph
