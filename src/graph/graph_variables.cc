#include "graph/graph_variables.h"

#include <algorithm>

#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// "w/part_3": part 3 of "w".
struct PartName {
  std::string whole;
  int64_t number = 0;
};

std::optional<PartName> ParsePartName(std::string_view name) {
  constexpr std::string_view kMarker = "/part_";
  constexpr size_t kMaxDigits = 9;
  const size_t at = name.rfind(kMarker);
  if (at == name.npos) return std::nullopt;
  const std::string digits(name.substr(at + kMarker.size()));
  if (digits.empty() || digits.size() > kMaxDigits ||
      digits.find_first_not_of("0123456789") != digits.npos) {
    return std::nullopt;
  }
  return PartName{std::string(name.substr(0, at)), std::stol(digits)};
}

// The shape that a variable's node declares; nullopt when it is not fully known.
std::optional<Shape> StaticShape(const NodeDef& variable) {
  const auto it = variable.attr().find("shape");
  if (it == variable.attr().end() || !it->second.has_shape()) return std::nullopt;
  auto shape = ShapeFromProto(it->second.shape());
  if (!shape.ok() || !shape->fully_known()) return std::nullopt;
  return *std::move(shape);
}

// Where the parts of one partitioned variable lie in the whole.
class Parts {
 public:
  void Add(int64_t number, const NodeDef& node) { nodes_[number] = &node; }

  absl::StatusOr<VariableValue> Value(const std::string& whole, const Shape& shape,
                                      int64_t number) {
    if (starts_.empty()) RETURN_IF_ERROR(Divide(whole, shape));
    VariableValue value;
    value.name = whole;
    value.slice = Slice::Full(shape.rank());
    value.slice->start[axis_] = starts_[number];
    value.slice->length[axis_] = StaticShape(*nodes_[number])->dim(axis_);
    return value;
  }

 private:
  // Finds the dimension along which the parts add up to the whole.
  absl::Status Divide(const std::string& whole, const Shape& shape) {
    std::vector<Shape> parts;
    for (const auto& [number, node] : nodes_) {
      auto part = StaticShape(*node);
      if (number != static_cast<int64_t>(parts.size()) || !part) break;
      parts.push_back(*std::move(part));
    }
    if (parts.size() == nodes_.size()) {
      for (axis_ = 0; axis_ < shape.rank(); ++axis_) {
        if (AddUp(parts, shape)) return absl::OkStatus();
      }
    }
    std::vector<std::string> texts;
    for (const Shape& part : parts) texts.push_back(part.ToString());
    return InvalidArgument(
        "the {} parts that the graph has of '{}' do not divide its shape {} along one "
        "dimension: {}",
        nodes_.size(), whole, shape.ToString(), fmt::join(texts, ", "));
  }

  // Whether the parts are `shape` cut along axis_; sets starts_.
  bool AddUp(const std::vector<Shape>& parts, const Shape& shape) {
    starts_.clear();
    int64_t end = 0;
    for (const Shape& part : parts) {
      Shape widened = part;
      if (part.rank() == shape.rank()) widened.set_dim(axis_, shape.dim(axis_));
      const bool fits = widened == shape && part.dim(axis_) <= shape.dim(axis_) - end;
      if (!fits) return false;
      starts_.push_back(end);
      end += part.dim(axis_);
    }
    return end == shape.dim(axis_);
  }

  std::map<int64_t, const NodeDef*> nodes_;  // by number
  std::vector<int64_t> starts_;
  int axis_ = 0;
};

// Values by the names of the variables, into `assignments`. False when there are none.
absl::StatusOr<bool> FindByName(const GraphIndex& index, const VariableSource& checkpoint,
                                Assignments& assignments) {
  std::map<std::string, Parts> partitioned;
  for (const NodeDef& node : index.graph().node()) {
    if (!IsVariable(node)) continue;
    if (const auto part = ParsePartName(node.name())) {
      partitioned[part->whole].Add(part->number, node);
    }
  }
  bool found = false;
  for (const NodeDef& node : index.graph().node()) {
    if (!IsVariable(node)) continue;
    const std::string key = VariableKey(node);
    VariableValue value;
    const auto part = ParsePartName(node.name());
    if (checkpoint.Find(node.name()) != nullptr) {
      value.name = node.name();
    } else if (checkpoint.Find(key) != nullptr) {
      value.name = key;
    } else if (const auto* whole = part ? checkpoint.Find(part->whole) : nullptr) {
      auto slice =
          partitioned[part->whole].Value(whole->name, whole->shape, part->number);
      if (slice.ok()) {
        value = *std::move(slice);
      } else {
        value.error = slice.status();
      }
    } else {
      continue;
    }
    assignments.Set(key, std::move(value));
    found = true;
  }
  return found;
}

// What TensorFlow says when nothing can be restored by name.
absl::Status NothingToRestore(const GraphIndex& index, const VariableSource& checkpoint) {
  const auto& nodes = index.graph().node();
  const auto& variables = checkpoint.variables();
  const bool has_variables = std::any_of(nodes.begin(), nodes.end(), IsVariable);
  const bool shares_names =
      std::any_of(variables.begin(), variables.end(), [&](const VariableInfo& info) {
        return index.Find(info.name) != GraphIndex::kNone;
      });
  if (!has_variables && shares_names) {
    return InvalidArgument(
        "No variables were found in this model. It is likely the model was frozen "
        "previously. You cannot freeze a graph twice.");
  }
  return InvalidArgument(
      "No variables to save: {}",
      has_variables
          ? fmt::format("the checkpoint ({}, {} variables) has none of the graph's",
                        checkpoint.format(), variables.size())
          : "the graph has none");
}

absl::StatusOr<Tensor> Fill(const Tensor& scalar, const Shape& shape,
                            std::string_view what, uint64_t max_bytes) {
  const size_t size = ElementSize(scalar.dtype());
  RETURN_IF_ERROR(CheckedElements(shape, size, what, max_bytes).status());
  if (scalar.elements() != 1 || size == 0) {
    return InvalidArgument("{}: filled with {} elements of type {}", what,
                           scalar.elements(), DTypeName(scalar.dtype()));
  }
  Tensor filled(scalar.dtype(), shape);
  const auto bytes = filled.mutable_bytes();
  for (size_t at = 0; at < bytes.size(); at += size) {
    std::memcpy(bytes.data() + at, scalar.bytes().data(), size);
  }
  return filled;
}

// `dims` with its one -1 made to fit.
absl::StatusOr<Tensor> Reshape(const Tensor& tensor, std::vector<int64_t> dims,
                               std::string_view what) {
  const absl::Status error =
      InvalidArgument("{}: cannot make [{}] of a shape {}", what, fmt::join(dims, ","),
                      tensor.shape().ToString());
  const auto open = std::find(dims.begin(), dims.end(), -1);
  if (open != dims.end()) {
    *open = 1;
    const auto others = CheckedElements(Shape(dims), 1, what);
    if (!others.ok() || *others == 0 || tensor.elements() % *others != 0) return error;
    *open = tensor.elements() / *others;
  }
  const Shape shape(std::move(dims));
  const auto elements = CheckedElements(shape, 1, what);
  if (!elements.ok() || *elements != tensor.elements()) return error;
  return tensor.Reshaped(shape);
}

absl::StatusOr<Tensor> ReadCheckpoint(const VariableSource* checkpoint,
                                      const VariableValue& value, std::string_view what) {
  if (checkpoint == nullptr || checkpoint->Find(value.name) == nullptr) {
    return NotFound("Key {} not found in checkpoint ({}, for the {})", value.name,
                    checkpoint == nullptr ? "none" : checkpoint->format(), what);
  }
  ASSIGN_OR_RETURN(Tensor tensor, checkpoint->Read(value.name));
  if (value.whole && *value.whole != tensor.shape()) {
    return InvalidArgument(
        "Shape in shape_and_slice spec {} does not match the shape stored in checkpoint: "
        "{} (tensor '{}', for the {})",
        value.whole->ToString(), tensor.shape().ToString(), value.name, what);
  }
  if (!value.slice) return tensor;
  RETURN_IF_ERROR(SliceShape(*value.slice, tensor.shape(), what).status());
  return ExtractSlice(tensor, *value.slice);
}

}  // namespace

absl::StatusOr<std::unique_ptr<const GraphVariables>> GraphVariables::Create(
    const GraphDef& graph, std::shared_ptr<const VariableSource> checkpoint,
    const Restoring& restoring) {
  auto variables = std::unique_ptr<GraphVariables>(
      new GraphVariables(std::move(checkpoint), restoring.max_constant_bytes));
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  Assignments assignments(index);
  if (restoring.saver) {
    RETURN_IF_ERROR(
        assignments.Run({restoring.saver->restore_op_name()},
                        ParseInput(restoring.saver->filename_tensor_name()).node));
  } else if (variables->checkpoint_ != nullptr) {
    const VariableSource& source = *variables->checkpoint_;
    ASSIGN_OR_RETURN(const bool found, FindByName(index, source, assignments));
    if (!found) return NothingToRestore(index, source);
  }
  if (!restoring.initializer_nodes.empty()) {
    RETURN_IF_ERROR(assignments.Run(restoring.initializer_nodes, ""));
  }
  for (const NodeDef& node : graph.node()) {
    if (!IsVariable(node)) continue;
    const auto value = assignments.values().find(VariableKey(node));
    if (value == assignments.values().end()) continue;
    variables->values_.emplace(node.name(), value->second);
    variables->infos_.push_back({node.name(),
                                 GetType(node, "dtype").value_or(DType::kFloat32),
                                 StaticShape(node).value_or(Shape())});
  }
  std::sort(variables->infos_.begin(), variables->infos_.end(),
            [](const VariableInfo& a, const VariableInfo& b) { return a.name < b.name; });
  return variables;
}

absl::StatusOr<Tensor> GraphVariables::Read(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) return NotFound("no variable '{}'", name);
  const VariableValue& value = it->second;
  const std::string what = fmt::format("variable '{}'", name);
  if (!value.error.ok()) return Annotate(value.error, what);
  Tensor tensor;
  if (value.constant == nullptr) {
    ASSIGN_OR_RETURN(tensor, ReadCheckpoint(checkpoint_.get(), value, what));
  } else {
    ASSIGN_OR_RETURN(tensor, ConstValue(*value.constant, max_constant_bytes_));
    if (value.filled) {
      ASSIGN_OR_RETURN(tensor, Fill(tensor, *value.filled, what, max_constant_bytes_));
    }
  }
  if (value.reshaped) return Reshape(tensor, *value.reshaped, what);
  return tensor;
}

std::string_view GraphVariables::format() const {
  return checkpoint_ == nullptr ? "no checkpoint" : checkpoint_->format();
}

}  // namespace oriel::graph
