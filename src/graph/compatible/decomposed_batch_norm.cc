#include <algorithm>

#include "graph/compatible/steps.h"
#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph::compatible {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

namespace {

bool IsConvolution(const NodeDef& node) {
  return node.op() == "Conv2D" || node.op() == "DepthwiseConv2dNative";
}

bool IsConst(NodeDef& node, int rank) {
  if (node.op() != "Const") return false;
  return (*node.mutable_attr())["value"].tensor().tensor_shape().dim_size() == rank;
}

// The nodes of Add(Mul(x, scale), Sub(beta, Mul(mean, scale))), where scale is
// Rsqrt(Add(variance, epsilon)) or that times gamma.
struct Pattern {
  NodeDef* data_scale_mul = nullptr;
  NodeDef* bias_mean_sub = nullptr;
  NodeDef* data = nullptr;
  NodeDef* scale = nullptr;
  NodeDef* rsqrt = nullptr;
  NodeDef* gamma = nullptr;  // or null
  NodeDef* beta = nullptr;
  NodeDef* mean_scale_mul = nullptr;
  NodeDef* mean = nullptr;
  NodeDef* variance_epsilon_add = nullptr;
  NodeDef* variance = nullptr;
  NodeDef* epsilon = nullptr;
  tensorflow::AttrValue data_format;
};

// False: the root's operands are not of the pattern.
absl::StatusOr<bool> FindTerms(const NodeMap& map, const NodeDef& root, Pattern& p) {
  ASSIGN_OR_RETURN(NodeDef* const a, map.Input(root, 0));
  ASSIGN_OR_RETURN(NodeDef* const b, map.Input(root, 1));
  p.data_scale_mul = a->op() == "Mul" ? a : b;
  p.bias_mean_sub = a->op() == "Mul" ? b : a;
  return p.data_scale_mul->op() == "Mul" && p.bias_mean_sub->op() == "Sub";
}

// What is normalized is a convolution, or has one among its inputs, in NHWC.
absl::StatusOr<bool> FindData(const NodeMap& map, Pattern& p) {
  ASSIGN_OR_RETURN(p.data, map.Input(*p.data_scale_mul, 0));
  ASSIGN_OR_RETURN(p.scale, map.Input(*p.data_scale_mul, 1));
  NodeDef* convolution = IsConvolution(*p.data) ? p.data : nullptr;
  for (int k = 0; k < p.data->input_size() && convolution == nullptr; ++k) {
    ASSIGN_OR_RETURN(NodeDef* const input, map.Input(*p.data, k));
    if (IsConvolution(*input)) convolution = input;
  }
  if (convolution == nullptr) return false;
  p.data_format = (*convolution->mutable_attr())["data_format"];
  return p.data_format.s() == "NHWC";
}

absl::StatusOr<bool> FindScale(const NodeMap& map, Pattern& p) {
  if (p.scale->op() == "Rsqrt") {
    p.rsqrt = p.scale;
    return true;
  }
  if (p.scale->op() != "Mul") return false;
  ASSIGN_OR_RETURN(p.rsqrt, map.Input(*p.scale, 0));
  ASSIGN_OR_RETURN(p.gamma, map.Input(*p.scale, 1));
  return p.rsqrt->op() == "Rsqrt" && IsConst(*p.gamma, 1);
}

absl::StatusOr<bool> FindOffset(const NodeMap& map, Pattern& p) {
  ASSIGN_OR_RETURN(p.beta, map.Input(*p.bias_mean_sub, 0));
  ASSIGN_OR_RETURN(p.mean_scale_mul, map.Input(*p.bias_mean_sub, 1));
  if (p.mean_scale_mul->op() != "Mul" || !IsConst(*p.beta, 1)) return false;
  ASSIGN_OR_RETURN(NodeDef* const scale, map.Input(*p.mean_scale_mul, 1));
  if (scale != p.scale) return false;
  ASSIGN_OR_RETURN(p.mean, map.Input(*p.mean_scale_mul, 0));
  return IsConst(*p.mean, 1);
}

absl::StatusOr<bool> FindVariance(const NodeMap& map, Pattern& p) {
  ASSIGN_OR_RETURN(p.variance_epsilon_add, map.Input(*p.rsqrt, 0));
  if (p.variance_epsilon_add->op() != "Add") return false;
  ASSIGN_OR_RETURN(p.variance, map.Input(*p.variance_epsilon_add, 0));
  ASSIGN_OR_RETURN(p.epsilon, map.Input(*p.variance_epsilon_add, 1));
  return IsConst(*p.epsilon, 0) && IsConst(*p.variance, 1);
}

absl::StatusOr<std::optional<Pattern>> Match(const NodeMap& map, const NodeDef& root) {
  Pattern p;
  ASSIGN_OR_RETURN(bool found, FindTerms(map, root, p));
  for (const auto find : {FindData, FindScale, FindOffset, FindVariance}) {
    if (!found) return std::nullopt;
    ASSIGN_OR_RETURN(found, find(map, p));
  }
  if (!found) return std::nullopt;
  return p;
}

// A gamma of ones: one value for the whole shape.
NodeDef MakeGamma(const NodeDef& scale, const NodeDef& beta) {
  NodeDef gamma;
  const size_t slash = scale.name().rfind('/');
  gamma.set_name(scale.name().substr(0, slash) + "/gamma");
  gamma.set_op("Const");
  const auto dtype = beta.attr().find("dtype");
  auto& attr = (*gamma.mutable_attr())["dtype"];
  if (dtype != beta.attr().end()) attr = dtype->second;
  const auto& like = beta.attr().at("value").tensor();
  auto& value = *(*gamma.mutable_attr())["value"].mutable_tensor();
  value.set_dtype(like.dtype());
  *value.mutable_tensor_shape() = like.tensor_shape();
  if (like.dtype() == tensorflow::DT_DOUBLE) {
    value.add_double_val(1);
  } else if (like.dtype() == tensorflow::DT_HALF) {
    value.add_half_val(0x3c00);
  } else {
    value.add_float_val(1);
  }
  return gamma;
}

absl::StatusOr<NodeDef> MakeFused(NodeDef& root, const Pattern& p,
                                  const std::string& gamma) {
  ASSIGN_OR_RETURN(const Tensor value, ConstValue(*p.epsilon));
  ASSIGN_OR_RETURN(const Tensor epsilon, ToFloat32(value));
  NodeDef fused;
  fused.set_name(root.name());
  fused.set_op("FusedBatchNorm");
  (*fused.mutable_attr())["T"] = (*root.mutable_attr())["T"];
  SetBool(fused, "is_training", false);
  SetFloat(fused, "epsilon", epsilon.data<float>()[0]);
  (*fused.mutable_attr())["data_format"] = p.data_format;
  for (const std::string& input :
       {p.data->name(), gamma, p.beta->name(), p.mean->name(), p.variance->name()}) {
    fused.add_input(input);
  }
  return fused;
}

}  // namespace

absl::Status FuseDecomposedBatchNorm(GraphDef& graph, const CompatibleOptions&) {
  ASSIGN_OR_RETURN(const NodeMap map, NodeMap::Create(graph));
  NameSet skip;
  std::vector<NodeDef> added;
  for (NodeDef& node : *graph.mutable_node()) {
    if (node.op() != "Add") continue;
    ASSIGN_OR_RETURN(const auto p, Match(map, node));
    if (!p) continue;
    for (const NodeDef* const gone :
         {&node, p->data_scale_mul, p->bias_mean_sub, p->mean_scale_mul, p->scale,
          p->rsqrt, p->variance_epsilon_add}) {
      skip.insert(gone->name());
    }
    std::string gamma;
    if (p->gamma != nullptr) {
      gamma = p->gamma->name();
    } else {
      added.push_back(MakeGamma(*p->scale, *p->beta));
      gamma = added.back().name();
    }
    ASSIGN_OR_RETURN(NodeDef fused, MakeFused(node, *p, gamma));
    added.push_back(std::move(fused));
  }
  Rebuild(graph, skip, std::move(added));
  return absl::OkStatus();
}

}  // namespace oriel::graph::compatible
