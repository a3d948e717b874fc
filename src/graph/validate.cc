#include "graph/validate.h"

#include <array>
#include <optional>
#include <unordered_map>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::DataType;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

// Types of inputs and outputs: names of type attributes, separated by spaces.
// "N*T": as many as attribute N says, all of type T. "?" is not checked.
struct Signature {
  std::string_view op;
  std::string_view inputs;
  std::string_view outputs;
};

// Sorted as TensorFlow's op registry documents them, by kind.
constexpr Signature kSignatures[] = {
    {"Const", "", "dtype"},
    {"Placeholder", "", "dtype"},
    {"PlaceholderWithDefault", "dtype", "dtype"},
    {"Variable", "", "dtype"},
    {"VariableV2", "", "dtype"},
    {"VarHandleOp", "", "?"},
    {"ReadVariableOp", "?", "dtype"},
    {"Assign", "T T", "T"},
    {"Identity", "T", "T"},
    {"StopGradient", "T", "T"},
    {"CheckNumerics", "T", "T"},
    {"Conv2D", "T T", "T"},
    {"DepthwiseConv2dNative", "T T", "T"},
    {"FusedPadConv2D", "T ? T", "T"},
    {"FusedResizeAndPadConv2D", "T ? ? T", "T"},
    {"MatMul", "T T", "T"},
    {"BiasAdd", "T T", "T"},
    {"FusedBatchNorm", "T T T T T", "T T T T T"},
    {"FusedBatchNormV2", "T U U U U", "T U U U U"},
    {"FusedBatchNormV3", "T U U U U", "T U U U U U"},
    {"BatchNormWithGlobalNormalization", "T T T T T", "T"},
    {"MaxPool", "T", "T"},
    {"AvgPool", "T", "T"},
    {"Mean", "T Tidx", "T"},
    {"Relu", "T", "T"},
    {"Relu6", "T", "T"},
    {"Softmax", "T", "T"},
    {"Rsqrt", "T", "T"},
    {"Sqrt", "T", "T"},
    {"Neg", "T", "T"},
    {"Add", "T T", "T"},
    {"AddV2", "T T", "T"},
    {"Sub", "T T", "T"},
    {"Mul", "T T", "T"},
    {"RealDiv", "T T", "T"},
    {"Maximum", "T T", "T"},
    {"Minimum", "T T", "T"},
    {"Concat", "? N*T", "T"},
    {"ConcatV2", "N*T Tidx", "T"},
    {"Reshape", "T Tshape", "T"},
    {"Squeeze", "T", "T"},
    {"ExpandDims", "T Tdim", "T"},
    {"Pad", "T Tpaddings", "T"},
    {"MirrorPad", "T Tpaddings", "T"},
    {"Shape", "T", "out_type"},
    {"NoOp", "", ""},
};

const Signature* FindSignature(const std::string& op) {
  static const auto* const table = [] {
    auto* by_op = new std::unordered_map<std::string_view, const Signature*>;
    for (const Signature& signature : kSignatures) {
      by_op->emplace(signature.op, &signature);
    }
    return by_op;
  }();
  const auto it = table->find(op);
  return it == table->end() ? nullptr : it->second;
}

// What a signature says of one node: one entry for each input or output.
using Types = std::vector<std::string_view>;

absl::StatusOr<Types> Expand(const NodeDef& node, std::string_view list) {
  Types types;
  while (!list.empty()) {
    const size_t space = std::min(list.find(' '), list.size());
    std::string_view item = list.substr(0, space);
    list.remove_prefix(std::min(space + 1, list.size()));
    int64_t count = 1;
    if (const size_t star = item.find('*'); star != item.npos) {
      ASSIGN_OR_RETURN(count, GetInt(node, std::string(item.substr(0, star)).c_str()));
      if (count < 0 || count > node.input_size()) {
        return InvalidArgument("node '{}' ({}): attribute '{}' is {}, has {} inputs",
                               node.name(), node.op(), item.substr(0, star), count,
                               node.input_size());
      }
      item.remove_prefix(star + 1);
    }
    types.insert(types.end(), count, item);
  }
  return types;
}

// The type in attribute `attr`, references taken for values; nullopt when there
// is none (older graphs leave defaults out).
std::optional<DataType> TypeOf(const NodeDef& node, std::string_view attr) {
  if (attr == "?") return std::nullopt;
  const auto it = node.attr().find(std::string(attr));
  if (it == node.attr().end() ||
      it->second.value_case() != tensorflow::AttrValue::kType) {
    return std::nullopt;
  }
  const int type = it->second.type();
  return static_cast<DataType>(type > 100 ? type - 100 : type);
}

std::string TypeName(DataType type) {
  if (const auto dtype = FromTensorFlow(type)) return std::string(DTypeName(*dtype));
  const std::string& name = tensorflow::DataType_Name(type);
  return name.empty() ? fmt::format("type {}", static_cast<int>(type)) : name;
}

absl::Status CheckTypes(const GraphIndex& index, int i) {
  const NodeDef& node = index.node(i);
  const auto sources = index.data_inputs(i);
  Types wanted;
  const Signature* const signature = FindSignature(node.op());
  if (signature != nullptr) {
    ASSIGN_OR_RETURN(wanted, Expand(node, signature->inputs));
    if (wanted.size() != sources.size()) {
      return InvalidArgument("node '{}' ({}): has {} inputs, want {}", node.name(),
                             node.op(), sources.size(), wanted.size());
    }
  }
  for (size_t k = 0; k < sources.size(); ++k) {
    const NodeDef& producer = index.node(sources[k].node);
    const Signature* const made = FindSignature(producer.op());
    if (made == nullptr) continue;
    ASSIGN_OR_RETURN(const Types outputs, Expand(producer, made->outputs));
    if (sources[k].output >= static_cast<int>(outputs.size())) {
      return InvalidArgument("node '{}' ({}): input {} is '{}', but {} has {} outputs",
                             node.name(), node.op(), k, node.input(k), producer.op(),
                             outputs.size());
    }
    if (signature == nullptr) continue;
    const auto have = TypeOf(producer, outputs[sources[k].output]);
    const auto want = TypeOf(node, wanted[k]);
    if (have && want && *have != *want) {
      return InvalidArgument("node '{}' ({}): input {} ('{}') is {}, want {}",
                             node.name(), node.op(), k, node.input(k), TypeName(*have),
                             TypeName(*want));
    }
  }
  return absl::OkStatus();
}

int64_t TypedValues(const tensorflow::TensorProto& value) {
  return int64_t{0} + value.float_val_size() + value.double_val_size() +
         value.int_val_size() + value.string_val_size() + value.scomplex_val_size() / 2 +
         value.int64_val_size() + value.bool_val_size() + value.dcomplex_val_size() / 2 +
         value.half_val_size() + value.uint32_val_size() + value.uint64_val_size();
}

absl::Status CheckConst(const NodeDef& node) {
  const auto it = node.attr().find("value");
  if (it == node.attr().end() || !it->second.has_tensor()) {
    return InvalidArgument("node '{}' (Const) has no value", node.name());
  }
  const auto& value = it->second.tensor();
  if (const auto dtype = TypeOf(node, "dtype"); dtype && *dtype != value.dtype()) {
    return InvalidArgument("node '{}' (Const): value is {}, attribute dtype is {}",
                           node.name(), TypeName(value.dtype()), TypeName(*dtype));
  }
  const auto dtype = FromTensorFlow(value.dtype());
  if (!dtype) return absl::OkStatus();  // quantized types: opaque to Oriel
  const std::string what = fmt::format("node '{}' (Const)", node.name());
  auto shape = ShapeFromProto(value.tensor_shape());
  if (!shape.ok()) return Annotate(shape.status(), what);
  const size_t size = ElementSize(*dtype);
  ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(*shape, size, what));
  if (!value.tensor_content().empty() && size > 0 &&
      value.tensor_content().size() != elements * size) {
    return InvalidArgument("{}: value has {} bytes, shape {} of {} wants {}", what,
                           value.tensor_content().size(), shape->ToString(),
                           DTypeName(*dtype), elements * size);
  }
  if (TypedValues(value) > elements) {
    return InvalidArgument("{}: has {} values, shape {} wants {}", what,
                           TypedValues(value), shape->ToString(), elements);
  }
  return absl::OkStatus();
}

// Of placeholders and variables.
absl::Status CheckDeclaredShape(const NodeDef& node) {
  if (!node.op().starts_with("Placeholder") && !node.op().starts_with("Var")) {
    return absl::OkStatus();
  }
  const auto it = node.attr().find("shape");
  if (it == node.attr().end() || it->second.shape().unknown_rank()) {
    return absl::OkStatus();
  }
  const std::string what = fmt::format("node '{}' ({})", node.name(), node.op());
  auto shape = ShapeFromProto(it->second.shape());
  if (!shape.ok()) return Annotate(shape.status(), what);
  for (int d = 0; d < shape->rank(); ++d) {
    if (shape->dim(d) == -1) shape->set_dim(d, 1);  // not known
  }
  return CheckedElements(*shape, 1, what).status();
}

}  // namespace

absl::Status ValidateGraph(const GraphDef& graph) {
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  for (int i = 0; i < index.size(); ++i) {
    RETURN_IF_ERROR(CheckTypes(index, i));
    RETURN_IF_ERROR(CheckDeclaredShape(index.node(i)));
    if (index.node(i).op() == "Const") RETURN_IF_ERROR(CheckConst(index.node(i)));
  }
  return absl::OkStatus();
}

}  // namespace oriel::graph
