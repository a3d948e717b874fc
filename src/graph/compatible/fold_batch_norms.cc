#include <algorithm>
#include <array>
#include <cmath>

#include "graph/compatible/steps.h"
#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph::compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

namespace {

// Numbers of a Const, computed with in double and rounded to the type that NumPy would
// compute in: for float32 sums and differences that gives the same bits.
struct Numbers {
  DType dtype = DType::kFloat32;
  Shape shape;
  std::vector<double> values;

  double Round(double x) const {
    return dtype == DType::kFloat32 ? static_cast<double>(static_cast<float>(x)) : x;
  }
};

absl::Status WrongType(const NodeDef& node, DType dtype) {
  return Unimplemented(
      "node '{}' (Const): is {}, batch norms are folded in float32 and float64",
      node.name(), DTypeName(dtype));
}

// Of output channels, which vary fastest: of [kh,kw,in,out], and of
// [kh,kw,in,multiplier], whose output channel is in * multiplier + m.
template <typename T>
void Multiply(std::span<T> weights, const std::vector<double>& scale) {
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<T>(weights[i] * scale[i % scale.size()]);
  }
}

absl::StatusOr<Numbers> Read(NodeDef& node, const CompatibleOptions& options) {
  const auto& proto = (*node.mutable_attr())["value"].tensor();
  ASSIGN_OR_RETURN(const Tensor tensor,
                   TensorFromProto(proto, fmt::format("node '{}' (Const)", node.name()),
                                   options.max_constant_bytes));
  Numbers numbers{tensor.dtype(), tensor.shape(), {}};
  if (tensor.dtype() == DType::kFloat32) {
    const auto data = tensor.data<float>();
    numbers.values.assign(data.begin(), data.end());
  } else if (tensor.dtype() == DType::kFloat64) {
    const auto data = tensor.data<double>();
    numbers.values.assign(data.begin(), data.end());
  } else {
    return WrongType(node, tensor.dtype());
  }
  return numbers;
}

Tensor ToTensor(DType dtype, const Shape& shape, std::span<const double> values) {
  Tensor tensor(dtype, shape);
  if (dtype == DType::kFloat64) {
    std::copy(values.begin(), values.end(), tensor.mutable_data<double>().begin());
  } else {
    std::transform(values.begin(), values.end(), tensor.mutable_data<float>().begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  return tensor;
}

enum Part { kMean, kVariance, kBeta, kGamma, kParts };
constexpr const char* kPartNames[] = {"mean", "var", "beta", "gamma"};

struct Norm {
  NodeDef* node = nullptr;
  NodeDef* convolution = nullptr;
  NodeDef* add = nullptr;   // between the two, or null
  NodeDef* bias = nullptr;  // of `add`
  NodeDef* weights = nullptr;
  NodeDef* mean = nullptr;
  int64_t channels = 0;
  std::array<Numbers, kParts> parts;
};

// Inputs after the first, by part.
std::array<int, kParts> InputOrder(const NodeDef& node) {
  if (node.op() == "BatchNormWithGlobalNormalization") return {1, 2, 3, 4};
  return {3, 4, 2, 1};
}

bool IsNorm(const NodeDef& node) {
  return node.op() == "BatchNormWithGlobalNormalization" ||
         node.op() == "FusedBatchNorm" || node.op() == "FusedBatchNormV3";
}

bool IsConvolution(const NodeDef& node) {
  return node.op() == "Conv2D" || node.op() == "DepthwiseConv2dNative";
}

class Folder {
 public:
  Folder(const NodeMap& map, const CompatibleOptions& options)
      : map_(map), options_(options) {}

  absl::Status Fold(NodeDef& node) {
    Norm norm{.node = &node};
    ASSIGN_OR_RETURN(const bool found, Find(norm));
    return found ? Replace(norm) : absl::OkStatus();
  }

  const NameSet& skip() const { return skip_; }
  std::vector<NodeDef> TakeAdded() { return std::move(added_); }

 private:
  template <typename... Args>
  bool Warn(fmt::format_string<Args...> format, Args&&... args) const {
    if (options_.warn) options_.warn(fmt::format(format, std::forward<Args>(args)...));
    return false;
  }

  bool WarnOfInput(std::string_view what, const NodeDef& to, const NodeDef& found) const {
    return Warn(
        "Didn't find expected {} Constant input to '{}', found {} ({}) instead. Maybe "
        "because freeze_graph wasn't run first?",
        what, to.name(), found.name(), found.op());
  }

  absl::StatusOr<bool> FindConvolution(Norm& norm) const {
    ASSIGN_OR_RETURN(norm.convolution, map_.Input(*norm.node, 0));
    const std::string& op = norm.convolution->op();
    if (op == "BiasAdd" || op == "Add" || op == "AddV2") {
      norm.add = norm.convolution;
      ASSIGN_OR_RETURN(norm.convolution, map_.Input(*norm.add, 0));
      ASSIGN_OR_RETURN(norm.bias, map_.Input(*norm.add, 1));
      if (!IsConvolution(*norm.convolution)) std::swap(norm.convolution, norm.bias);
      if (norm.bias->op() != "Const") {
        return Warn(
            "The bias {} after the conv {} was not a constant. Maybe because "
            "freeze_graph wasn't run first?",
            norm.bias->name(), norm.convolution->name());
      }
    }
    if (IsConvolution(*norm.convolution)) return true;
    return Warn("Didn't find expected Conv2D or DepthwiseConv2dNative input to '{}'",
                norm.node->name());
  }

  absl::StatusOr<bool> FindWeights(Norm& norm) const {
    ASSIGN_OR_RETURN(norm.weights, map_.Input(*norm.convolution, 1));
    if (norm.weights->op() != "Const") {
      return WarnOfInput("conv", *norm.convolution, *norm.weights);
    }
    const auto& proto = (*norm.weights->mutable_attr())["value"].tensor();
    ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
    if (shape.rank() != 4) {
      return InvalidArgument("node '{}' (Const): weights of shape {}, want 4 dimensions",
                             norm.weights->name(), shape.ToString());
    }
    const std::string what = fmt::format("node '{}' (Const)", norm.weights->name());
    RETURN_IF_ERROR(CheckedElements(shape, 8, what).status());
    norm.channels =
        norm.convolution->op() == "Conv2D" ? shape.dim(3) : shape.dim(2) * shape.dim(3);
    return true;
  }

  // mean - bias, as NumPy broadcasts it.
  absl::Status SubtractBias(Norm& norm) const {
    Numbers& mean = norm.parts[kMean];
    ASSIGN_OR_RETURN(const Numbers bias, Read(*norm.bias, options_));
    if (bias.dtype != mean.dtype) {
      return Unimplemented("node '{}' (Const): is {}, the mean is {}", norm.bias->name(),
                           DTypeName(bias.dtype), DTypeName(mean.dtype));
    }
    const int64_t last = bias.shape.rank() == 0 ? 1 : bias.shape.dim(-1);
    const int64_t channels = mean.shape.dim(0);
    if (last != channels && last != 1 && channels != 1) {
      return InvalidArgument(
          "node '{}': operands could not be broadcast together with shapes ({},) {}",
          norm.node->name(), channels, bias.shape.ToString());
    }
    const int64_t width = last == 1 ? channels : last;
    const int64_t rows = last == 0 ? 0 : bias.shape.elements() / last;
    std::vector<int64_t> dims(bias.shape.dims().begin(), bias.shape.dims().end());
    if (dims.empty()) dims.push_back(width);
    dims.back() = width;
    const Shape shape(std::move(dims));
    RETURN_IF_ERROR(
        CheckedElements(shape, 8, fmt::format("node '{}'", norm.node->name())).status());
    if (static_cast<uint64_t>(shape.elements()) * 8 > options_.max_constant_bytes) {
      return ResourceExhausted("node '{}': mean and bias make {} values",
                               norm.node->name(), shape.elements());
    }
    std::vector<double> difference;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t c = 0; c < width; ++c) {
        difference.push_back(mean.Round(mean.values[channels == 1 ? 0 : c] -
                                        bias.values[row * last + (last == 1 ? 0 : c)]));
      }
    }
    mean.shape = shape;
    mean.values = std::move(difference);
    return absl::OkStatus();
  }

  // False, with a warning, when it does not have the pattern.
  absl::StatusOr<bool> Find(Norm& norm) const {
    ASSIGN_OR_RETURN(bool found, FindConvolution(norm));
    if (!found) return false;
    ASSIGN_OR_RETURN(found, FindWeights(norm));
    if (!found) return false;
    const auto order = InputOrder(*norm.node);
    for (int part = 0; part < kParts; ++part) {
      const char* const name = kPartNames[part];
      ASSIGN_OR_RETURN(NodeDef* const source, map_.Input(*norm.node, order[part]));
      if (source->op() != "Const") return WarnOfInput(name, *norm.node, *source);
      if (part == kMean) norm.mean = source;
      const auto& proto = (*source->mutable_attr())["value"].tensor();
      ASSIGN_OR_RETURN(const Shape shape, ShapeFromProto(proto.tensor_shape()));
      if (shape != Shape{norm.channels}) {
        return Warn("Incorrect shape for {}, found {}, expected ({},), for node {}", name,
                    shape.ToString(), norm.channels, norm.node->name());
      }
      ASSIGN_OR_RETURN(norm.parts[part], Read(*source, options_));
      if (part == kMean && norm.bias != nullptr) RETURN_IF_ERROR(SubtractBias(norm));
    }
    return true;
  }

  absl::StatusOr<std::vector<double>> Scale(const Norm& norm) const {
    NodeDef& node = *norm.node;
    const bool global = node.op() == "BatchNormWithGlobalNormalization";
    const std::string attr = global ? "variance_epsilon" : "epsilon";
    const float epsilon = (*node.mutable_attr())[attr].f();
    const bool by_gamma =
        !global || (*node.mutable_attr())["scale_after_normalization"].b();
    const Numbers& variance = norm.parts[kVariance];
    if (variance.values.empty()) {
      return InvalidArgument(
          "node '{}': cannot call `vectorize` on size 0 inputs unless `otypes` is set",
          node.name());
    }
    std::vector<double> scale;
    for (size_t c = 0; c < variance.values.size(); ++c) {
      const double sum = variance.Round(variance.values[c] + epsilon);
      if (sum < 0) {
        return InvalidArgument("node '{}': math domain error: square root of {}",
                               node.name(), sum);
      }
      scale.push_back(1.0 / std::sqrt(sum) *
                      (by_gamma ? norm.parts[kGamma].values[c] : 1.0));
    }
    return scale;
  }

  // beta - mean * scale, in the shape that the mean has by now.
  std::vector<double> Offset(const Norm& norm, const std::vector<double>& scale) const {
    const Numbers& mean = norm.parts[kMean];
    const auto& beta = norm.parts[kBeta].values;
    std::vector<double> offset(mean.values.size());
    for (size_t i = 0; i < offset.size(); ++i) {
      const size_t c = i % mean.shape.dim(-1) % scale.size();
      offset[i] = -mean.values[i] * scale[c] + beta[c];
    }
    return offset;
  }

  absl::StatusOr<NodeDef> ScaledWeights(const Norm& norm,
                                        const std::vector<double>& scale) const {
    const std::string what = fmt::format("node '{}' (Const)", norm.weights->name());
    ASSIGN_OR_RETURN(const Tensor old,
                     TensorFromProto((*norm.weights->mutable_attr())["value"].tensor(),
                                     what, options_.max_constant_bytes));
    Tensor weights = old.Clone();
    if (old.dtype() == DType::kFloat32) {
      Multiply(weights.mutable_data<float>(), scale);
    } else if (old.dtype() == DType::kFloat64) {
      Multiply(weights.mutable_data<double>(), scale);
    } else {
      return WrongType(*norm.weights, old.dtype());
    }
    NodeDef node;
    node.set_name(norm.convolution->name() + "_weights");
    node.set_op("Const");
    (*node.mutable_attr())["dtype"] = (*norm.weights->mutable_attr())["dtype"];
    SetTensor(node, "value", weights);
    return node;
  }

  absl::Status Replace(const Norm& norm) {
    ASSIGN_OR_RETURN(const std::vector<double> scale, Scale(norm));
    ASSIGN_OR_RETURN(NodeDef weights, ScaledWeights(norm, scale));
    for (const NodeDef* const gone :
         {norm.node, norm.weights, norm.convolution, norm.add}) {
      if (gone != nullptr) skip_.insert(gone->name());
    }
    // In place, so that a second norm of this convolution finds no weights: the
    // original fails there, too.
    for (std::string& input : *norm.convolution->mutable_input()) {
      if (input == norm.weights->name()) input = weights.name();
    }
    NodeDef convolution = *norm.convolution;
    NodeDef offset;
    offset.set_name(convolution.name() + "_bn_offset");
    offset.set_op("Const");
    (*offset.mutable_attr())["dtype"] = (*norm.mean->mutable_attr())["dtype"];
    const Numbers& mean = norm.parts[kMean];
    SetTensor(offset, "value", ToTensor(mean.dtype, mean.shape, Offset(norm, scale)));
    NodeDef bias_add;
    bias_add.set_name(norm.node->name());
    bias_add.set_op("BiasAdd");
    for (const char* attr : {"T", "data_format"}) {
      (*bias_add.mutable_attr())[attr] = (*norm.convolution->mutable_attr())[attr];
    }
    bias_add.add_input(convolution.name());
    bias_add.add_input(offset.name());
    for (NodeDef* const node : {&weights, &convolution, &offset, &bias_add}) {
      added_.push_back(std::move(*node));
    }
    return absl::OkStatus();
  }

  const NodeMap& map_;
  const CompatibleOptions& options_;
  NameSet skip_;
  std::vector<NodeDef> added_;
};

}  // namespace

absl::Status FoldBatchNorms(GraphDef& graph, const CompatibleOptions& options) {
  ASSIGN_OR_RETURN(const NodeMap map, NodeMap::Create(graph));
  Folder folder(map, options);
  for (NodeDef& node : *graph.mutable_node()) {
    if (IsNorm(node)) RETURN_IF_ERROR(folder.Fold(node));
  }
  Rebuild(graph, folder.skip(), folder.TakeAdded());
  return absl::OkStatus();
}

}  // namespace oriel::graph::compatible
