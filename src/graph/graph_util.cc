#include "graph/graph_util.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/files.h"
#include "graph/proto_file.h"
#include "tensor/tensor_proto.h"

namespace oriel::graph {
namespace {

using tensorflow::AttrValue;
using tensorflow::NodeDef;

absl::StatusOr<const AttrValue*> Find(const NodeDef& node, const char* attr,
                                      AttrValue::ValueCase want, const char* kind) {
  const auto it = node.attr().find(attr);
  if (it == node.attr().end()) {
    return InvalidArgument("node '{}' ({}) has no attribute '{}'", node.name(), node.op(),
                           attr);
  }
  if (it->second.value_case() != want) {
    return InvalidArgument("node '{}' ({}): attribute '{}' is not {}", node.name(),
                           node.op(), attr, kind);
  }
  return &it->second;
}

bool Has(const NodeDef& node, const char* attr) { return node.attr().contains(attr); }

}  // namespace

InputRef ParseInput(std::string_view input) {
  InputRef ref;
  if (input.starts_with('^')) {
    ref.control = true;
    ref.node = input.substr(1);
    return ref;
  }
  ref.node = input;
  const size_t colon = input.rfind(':');
  if (colon == std::string_view::npos) return ref;
  int output = 0;
  const char* end = input.data() + input.size();
  const auto [next, error] = std::from_chars(input.data() + colon + 1, end, output);
  if (error == std::errc() && next == end && output >= 0) {
    ref.node = input.substr(0, colon);
    ref.output = output;
  }
  return ref;
}

std::string FormatInput(std::string_view node, int output) {
  return output == 0 ? std::string(node) : fmt::format("{}:{}", node, output);
}

absl::StatusOr<int64_t> GetInt(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kI, "an int"));
  return value->i();
}
absl::StatusOr<float> GetFloat(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kF, "a float"));
  return value->f();
}
absl::StatusOr<bool> GetBool(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kB, "a bool"));
  return value->b();
}
absl::StatusOr<std::string> GetString(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kS, "a string"));
  return value->s();
}
absl::StatusOr<DType> GetType(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kType, "a type"));
  const auto dtype = FromTensorFlow(value->type());
  if (!dtype) {
    return InvalidArgument("node '{}' ({}): type {} in attribute '{}' is not supported",
                           node.name(), node.op(), static_cast<int>(value->type()), attr);
  }
  return *dtype;
}
absl::StatusOr<std::vector<int64_t>> GetInts(const NodeDef& node, const char* attr) {
  ASSIGN_OR_RETURN(const auto* value, Find(node, attr, AttrValue::kList, "a list"));
  return std::vector<int64_t>(value->list().i().begin(), value->list().i().end());
}
absl::StatusOr<int64_t> GetIntOr(const NodeDef& node, const char* attr,
                                 int64_t fallback) {
  return Has(node, attr) ? GetInt(node, attr) : fallback;
}
absl::StatusOr<float> GetFloatOr(const NodeDef& node, const char* attr, float fallback) {
  return Has(node, attr) ? GetFloat(node, attr) : fallback;
}
absl::StatusOr<bool> GetBoolOr(const NodeDef& node, const char* attr, bool fallback) {
  return Has(node, attr) ? GetBool(node, attr) : fallback;
}
absl::StatusOr<std::string> GetStringOr(const NodeDef& node, const char* attr,
                                        std::string fallback) {
  return Has(node, attr) ? GetString(node, attr) : fallback;
}
absl::StatusOr<std::vector<int64_t>> GetIntsOr(const NodeDef& node, const char* attr,
                                               std::vector<int64_t> fallback) {
  return Has(node, attr) ? GetInts(node, attr) : fallback;
}

absl::StatusOr<std::optional<Shape>> DeclaredShape(const tensorflow::GraphDef& graph,
                                                   const tensorflow::NodeDef& node) {
  if (node.op() != "Placeholder" && node.op() != "PlaceholderWithDefault") {
    return std::nullopt;
  }
  const auto it = node.attr().find("shape");
  if (it == node.attr().end() || !it->second.has_shape() ||
      it->second.shape().unknown_rank()) {
    return std::nullopt;
  }
  // Until graph version 24 an empty shape stood for one that is not known.
  constexpr int kScalarsFrom = 24;
  if (it->second.shape().dim_size() == 0 && graph.versions().producer() < kScalarsFrom) {
    return std::nullopt;
  }
  auto shape = ShapeFromProto(it->second.shape());
  if (!shape.ok()) {
    return Annotate(shape.status(), fmt::format("node '{}'", node.name()));
  }
  return *std::move(shape);
}

absl::StatusOr<Tensor> ConstValue(const NodeDef& node, uint64_t max_bytes) {
  if (node.op() != "Const") {
    return InvalidArgument("node '{}' is {}, want Const", node.name(), node.op());
  }
  ASSIGN_OR_RETURN(const auto* value,
                   Find(node, "value", AttrValue::kTensor, "a tensor"));
  return TensorFromProto(value->tensor(), fmt::format("node '{}'", node.name()),
                         max_bytes);
}

void SetInt(NodeDef& node, const char* attr, int64_t value) {
  (*node.mutable_attr())[attr].set_i(value);
}
void SetFloat(NodeDef& node, const char* attr, float value) {
  (*node.mutable_attr())[attr].set_f(value);
}
void SetBool(NodeDef& node, const char* attr, bool value) {
  (*node.mutable_attr())[attr].set_b(value);
}
void SetString(NodeDef& node, const char* attr, std::string_view value) {
  (*node.mutable_attr())[attr].set_s(value.data(), value.size());
}
void SetType(NodeDef& node, const char* attr, DType value) {
  (*node.mutable_attr())[attr].set_type(ToTensorFlow(value));
}
void SetInts(NodeDef& node, const char* attr, std::span<const int64_t> values) {
  auto* list = (*node.mutable_attr())[attr].mutable_list();
  list->Clear();
  for (const int64_t v : values) list->add_i(v);
}
void SetShape(NodeDef& node, const char* attr, const Shape& shape) {
  ShapeToProto(shape, (*node.mutable_attr())[attr].mutable_shape());
}
void SetTensor(NodeDef& node, const char* attr, const Tensor& value) {
  TensorToProto(value, (*node.mutable_attr())[attr].mutable_tensor());
}

absl::StatusOr<tensorflow::GraphDef> ParseGraphDef(Bytes bytes, std::string_view what,
                                                   bool text) {
  tensorflow::GraphDef graph;
  RETURN_IF_ERROR(ParseMessage(bytes, what, text, graph));
  return graph;
}

absl::StatusOr<tensorflow::GraphDef> ReadGraphDef(const std::string& path, bool text) {
  tensorflow::GraphDef graph;
  RETURN_IF_ERROR(ReadMessage(path, text, graph));
  return graph;
}

absl::StatusOr<EncodedGraph> ReadGraphDefOfEitherEncoding(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  // Nearly any bytes are some protobuf message.
  const auto is_node = [](const tensorflow::NodeDef& node) {
    return !node.name().empty() && !node.op().empty();
  };
  for (const bool text : {false, true}) {
    auto graph = ParseGraphDef(file->bytes(), path, text);
    if (!graph.ok() || graph->node().empty()) continue;
    if (std::all_of(graph->node().begin(), graph->node().end(), is_node)) {
      return EncodedGraph{*std::move(graph), text};
    }
  }
  return InvalidArgument("{}: is no GraphDef, neither binary nor text", path);
}

absl::Status WriteGraphDef(const tensorflow::GraphDef& graph, const std::string& path,
                           bool text) {
  std::string bytes;
  if (text) {
    google::protobuf::TextFormat::PrintToString(graph, &bytes);
  } else {
    if (graph.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int>::max())) {
      return InvalidArgument(
          "{}: a GraphDef of {} bytes is over protobuf's limit of 2 GiB", path,
          graph.ByteSizeLong());
    }
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    graph.SerializeToCodedStream(&coded);
  }
  return WriteFileAtomically(path, bytes);
}

}  // namespace oriel::graph
