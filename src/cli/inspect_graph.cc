#include "cli/inspect_graph.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <unordered_map>

#include "base/utf8.h"
#include "cli/input_shapes.h"
#include "cli/json_text.h"
#include "cli/table.h"
#include "engine/describe.h"
#include "graph/dot.h"
#include "graph/ends.h"
#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool IsVariable(const NodeDef& node) {
  return node.op() == "Variable" || node.op() == "VariableV2" ||
         node.op() == "VarHandleOp";
}

// The elements of a variable, or of a constant of floating point.
int64_t ParameterCount(const NodeDef& node) {
  const auto attribute = node.attr().find(IsVariable(node) ? "shape" : "value");
  if (attribute == node.attr().end()) return 0;
  if (!IsVariable(node)) {
    if (node.op() != "Const") return 0;
    switch (attribute->second.tensor().dtype()) {
      case tensorflow::DT_FLOAT:
      case tensorflow::DT_DOUBLE:
      case tensorflow::DT_HALF:
      case tensorflow::DT_BFLOAT16:
        break;
      default:
        return 0;
    }
  }
  const auto shape =
      ShapeFromProto(IsVariable(node) ? attribute->second.shape()
                                      : attribute->second.tensor().tensor_shape());
  if (!shape.ok()) return 0;
  return CheckedElements(*shape, 1, node.name()).value_or(0);
}

struct GraphInput {
  std::string name;
  std::string dtype;
  std::string shape;  // "unknown" when the graph does not tell
};

GraphInput DescribeInput(const NodeDef& node) {
  const auto dtype = graph::GetType(node, "dtype");
  std::string shape = "unknown";
  if (const auto it = node.attr().find("shape"); it != node.attr().end()) {
    const auto known = ShapeFromProto(it->second.shape());
    if (known.ok()) shape = known->ToString();
  }
  return {node.name(), dtype.ok() ? std::string(DTypeName(*dtype)) : "unknown", shape};
}

// Shapes of the variables themselves: what is not frozen can be described, too.
InputShapes VariableShapes(const GraphDef& graph) {
  InputShapes shapes;
  std::unordered_map<std::string_view, Shape> handles;
  for (const NodeDef& node : graph.node()) {
    const auto attribute = node.attr().find("shape");
    if (!IsVariable(node) || attribute == node.attr().end()) continue;
    const auto shape = ShapeFromProto(attribute->second.shape());
    if (!shape.ok() || !shape->fully_known()) continue;
    if (node.op() == "VarHandleOp") {
      handles.emplace(node.name(), *shape);
    } else {
      shapes.emplace_back(node.name(), *shape);
    }
  }
  for (const NodeDef& node : graph.node()) {
    if (node.op() != "ReadVariableOp" || node.input().empty()) continue;
    const auto handle = handles.find(graph::ParseInput(node.input(0)).node);
    if (handle != handles.end()) shapes.emplace_back(node.name(), handle->second);
  }
  return shapes;
}

absl::StatusOr<std::vector<engine::NodeDescription>> DescribeLayers(
    const GraphDef& graph, const InspectGraphOptions& options,
    const graph::GraphEnds& ends) {
  engine::PlanOptions plan;
  plan.outputs = ends.outputs;
  if (plan.outputs.empty()) return InvalidArgument("it has no outputs: --output NAME");
  ASSIGN_OR_RETURN(const InputShapes shapes,
                   FindInputShapes(options.shapes, graph, ends.inputs));
  plan.inputs = WithBatch(shapes, options.batch);
  for (auto& variable : VariableShapes(graph)) plan.inputs.push_back(std::move(variable));
  return engine::DescribeGraph(graph, plan);
}

std::string OutputShapes(const engine::NodeDescription& node) {
  std::vector<std::string> shapes;
  for (const Shape& shape : node.outputs) shapes.push_back(shape.ToString());
  return fmt::format("{}", fmt::join(shapes, " "));
}

struct Summary {
  std::vector<std::pair<std::string, int64_t>> ops;  // the most frequent first
  std::vector<GraphInput> inputs;
  std::vector<std::string> outputs;
  int64_t parameters = 0;
  std::vector<engine::NodeDescription> layers;  // empty: `unknown` says why
  std::string unknown;
  int64_t multiply_adds = 0;
};

Summary Summarize(const GraphDef& graph, const InspectGraphOptions& options) {
  Summary summary;
  graph::GraphEnds ends = graph::FindEnds(graph);
  if (!options.outputs.empty()) ends.outputs = options.outputs;
  std::map<std::string, int64_t> ops;
  for (const NodeDef& node : graph.node()) {
    ++ops[node.op()];
    summary.parameters += ParameterCount(node);
    if (node.op().starts_with("Placeholder")) {
      summary.inputs.push_back(DescribeInput(node));
    }
  }
  summary.ops.assign(ops.begin(), ops.end());
  std::stable_sort(summary.ops.begin(), summary.ops.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  auto layers = DescribeLayers(graph, options, ends);
  if (layers.ok()) {
    for (auto& node : *layers) {
      summary.multiply_adds += node.multiply_adds;
      if (options.all || node.parameters > 0 || node.multiply_adds > 0) {
        summary.layers.push_back(std::move(node));
      }
    }
  } else {
    summary.unknown = Message(layers.status());
  }
  summary.outputs = std::move(ends.outputs);
  return summary;
}

json::array JsonLayers(const Summary& summary) {
  json::array layers;
  for (const engine::NodeDescription& node : summary.layers) {
    json::array shapes;
    for (const Shape& shape : node.outputs) shapes.push_back(JsonShape(shape));
    layers.push_back({{"name", JsonText(node.name)},
                      {"op", node.op},
                      {"shapes", std::move(shapes)},
                      {"parameters", node.parameters},
                      {"multiply_adds", node.multiply_adds}});
  }
  return layers;
}

void PrintJson(const GraphDef& graph, const Summary& summary,
               const InspectGraphOptions& options) {
  json::object ops;
  for (const auto& [op, count] : summary.ops) ops[JsonText(op)] = count;
  json::array inputs;
  for (const GraphInput& input : summary.inputs) {
    inputs.push_back(
        {{"name", JsonText(input.name)}, {"dtype", input.dtype}, {"shape", input.shape}});
  }
  json::array outputs;
  for (const std::string& name : summary.outputs) outputs.push_back(JsonText(name));
  json::object report{{"kind", "graph"},
                      {"path", JsonText(options.path)},
                      {"format", options.encoding},
                      {"nodes", graph.node_size()},
                      {"ops", std::move(ops)},
                      {"inputs", std::move(inputs)},
                      {"outputs", std::move(outputs)},
                      {"parameters", summary.parameters}};
  if (summary.unknown.empty()) {
    report["batch"] = options.batch;
    report["multiply_adds"] = summary.multiply_adds;
    report["layers"] = JsonLayers(summary);
  } else {
    report["layers_unknown"] = JsonText(summary.unknown);
  }
  fmt::print("{}\n", json::serialize(report));
}

void PrintTables(const GraphDef& graph, const Summary& summary,
                 const InspectGraphOptions& options) {
  if (!summary.layers.empty()) {
    Table layers({false, false, false, true, true});
    layers.Add({"LAYER", "OP", "OUTPUT", "PARAMETERS", "MULTIPLY-ADDS"});
    for (const engine::NodeDescription& node : summary.layers) {
      layers.Add({node.name, node.op, OutputShapes(node), Grouped(node.parameters),
                  Grouped(node.multiply_adds)});
    }
    layers.Print();
    fmt::print("\n");
  }
  Table ops({false, true});
  ops.Add({"OP", "NODES"});
  for (const auto& [op, count] : summary.ops) ops.Add({op, Grouped(count)});
  ops.Print();
  fmt::print("\n");
  Table ends({false, false, false, false});
  for (const GraphInput& input : summary.inputs) {
    ends.Add({"input", input.name, input.dtype, input.shape});
  }
  for (const std::string& name : summary.outputs) ends.Add({"output", name, "", ""});
  ends.Print();
  std::string cost;
  if (summary.unknown.empty()) {
    cost = fmt::format(", {} multiply-adds at batch {}", Grouped(summary.multiply_adds),
                       options.batch);
  }
  fmt::print("\n{}: {} nodes, {} parameters{}\n", options.encoding,
             Grouped(graph.node_size()), Grouped(summary.parameters), cost);
  if (!summary.unknown.empty()) {
    fmt::print("Shapes and multiply-adds are not known: {}\n",
               Printable(summary.unknown));
  }
}

// Each operation with its shape, where shapes can be found out.
void PrintDot(const GraphDef& graph, InspectGraphOptions options) {
  options.all = true;
  const Summary summary = Summarize(graph, options);
  if (!summary.unknown.empty()) {
    fmt::print(stderr, "Without shapes: {}\n", Printable(summary.unknown));
  }
  std::unordered_map<std::string_view, std::string> notes;
  for (const engine::NodeDescription& node : summary.layers) {
    notes.emplace(node.name, OutputShapes(node));
  }
  for (const GraphInput& input : summary.inputs) notes.emplace(input.name, input.shape);
  const auto note = [&](const NodeDef& node) {
    const auto it = notes.find(node.name());
    return it == notes.end() ? std::string() : it->second;
  };
  fmt::print("{}", graph::FormatDot(graph, {.note = note}));
}

}  // namespace

absl::Status InspectGraph(const GraphDef& graph, const InspectGraphOptions& options) {
  for (const std::string& name : options.outputs) {
    const auto is_this = [&](const NodeDef& node) {
      return node.name() == graph::ParseInput(name).node;
    };
    if (std::none_of(graph.node().begin(), graph.node().end(), is_this)) {
      return InvalidArgument("{}: has no node '{}'", options.path, name);
    }
  }
  RETURN_IF_ERROR(CheckShapeFlags(options.shapes, graph));
  if (options.dot) {
    PrintDot(graph, options);
    return absl::OkStatus();
  }
  const Summary summary = Summarize(graph, options);
  if (options.json) {
    PrintJson(graph, summary, options);
  } else {
    PrintTables(graph, summary, options);
  }
  return absl::OkStatus();
}

}  // namespace oriel::cli
