// Names, inputs and attributes of GraphDefs: what every reader of graphs needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// A node's input as it is written: "node", "node:1" or "^node" (control).
struct InputRef {
  std::string_view node;
  int output = 0;
  bool control = false;
};

// Never fails: text after the last ':' that is not a number belongs to the name.
// The result borrows from `input`.
InputRef ParseInput(std::string_view input);

// "node" for output 0, else "node:1".
std::string FormatInput(std::string_view node, int output);

// Attributes by type. kInvalidArgument that names node and attribute when it is
// missing or of another kind; the `...Or` forms return `fallback` when missing.
absl::StatusOr<int64_t> GetInt(const tensorflow::NodeDef& node, const char* attr);
absl::StatusOr<float> GetFloat(const tensorflow::NodeDef& node, const char* attr);
absl::StatusOr<bool> GetBool(const tensorflow::NodeDef& node, const char* attr);
absl::StatusOr<std::string> GetString(const tensorflow::NodeDef& node, const char* attr);
absl::StatusOr<DType> GetType(const tensorflow::NodeDef& node, const char* attr);
absl::StatusOr<std::vector<int64_t>> GetInts(const tensorflow::NodeDef& node,
                                             const char* attr);
absl::StatusOr<int64_t> GetIntOr(const tensorflow::NodeDef& node, const char* attr,
                                 int64_t fallback);
absl::StatusOr<float> GetFloatOr(const tensorflow::NodeDef& node, const char* attr,
                                 float fallback);
absl::StatusOr<bool> GetBoolOr(const tensorflow::NodeDef& node, const char* attr,
                               bool fallback);
absl::StatusOr<std::string> GetStringOr(const tensorflow::NodeDef& node, const char* attr,
                                        std::string fallback);
absl::StatusOr<std::vector<int64_t>> GetIntsOr(const tensorflow::NodeDef& node,
                                               const char* attr,
                                               std::vector<int64_t> fallback);

// The shape that a placeholder of `graph` declares, unknown sizes -1; nullopt: any, or
// `node` is no placeholder.
absl::StatusOr<std::optional<Shape>> DeclaredShape(const tensorflow::GraphDef& graph,
                                                   const tensorflow::NodeDef& node);

// The value of a Const node, of at most `max_bytes`.
absl::StatusOr<Tensor> ConstValue(const tensorflow::NodeDef& node,
                                  uint64_t max_bytes = uint64_t{2} << 30);

void SetInt(tensorflow::NodeDef& node, const char* attr, int64_t value);
void SetFloat(tensorflow::NodeDef& node, const char* attr, float value);
void SetBool(tensorflow::NodeDef& node, const char* attr, bool value);
void SetString(tensorflow::NodeDef& node, const char* attr, std::string_view value);
void SetType(tensorflow::NodeDef& node, const char* attr, DType value);
void SetInts(tensorflow::NodeDef& node, const char* attr,
             std::span<const int64_t> values);
void SetShape(tensorflow::NodeDef& node, const char* attr, const Shape& shape);
void SetTensor(tensorflow::NodeDef& node, const char* attr, const Tensor& value);

// Reads a GraphDef: binary, or text when `text`. Bounds and errors are ParseMessage's
// (graph/proto_file.h).
absl::StatusOr<tensorflow::GraphDef> ReadGraphDef(const std::string& path,
                                                  bool text = false);
absl::StatusOr<tensorflow::GraphDef> ParseGraphDef(Bytes bytes, std::string_view what,
                                                   bool text = false);
// A GraphDef in the encoding that the file has. kInvalidArgument when it has nodes with
// names and operations in neither.
struct EncodedGraph {
  tensorflow::GraphDef graph;
  bool text = false;
};
absl::StatusOr<EncodedGraph> ReadGraphDefOfEitherEncoding(const std::string& path);
// Written atomically, map fields in key order (the same graph gives the same bytes).
absl::Status WriteGraphDef(const tensorflow::GraphDef& graph, const std::string& path,
                           bool text = false);

}  // namespace oriel::graph
