#include "cli/input_shapes.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "graph/graph_util.h"

namespace oriel::cli {
namespace {

// "NAME=Nx299x299x3": N (or -1) is the batch, -1 in the result.
absl::StatusOr<std::pair<std::string, Shape>> ParseShapeFlag(const std::string& text) {
  const auto bad = [&] {
    return InvalidArgument("--shape {}: want NAME=Nx299x299x3, N being the batch", text);
  };
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) return bad();
  std::vector<int64_t> dims;
  std::string_view rest = std::string_view(text).substr(equals + 1);
  while (true) {
    const size_t end = std::min(rest.find_first_of("x,"), rest.size());
    const std::string_view dim = rest.substr(0, end);
    int64_t size = -1;
    if (dim != "N" && dim != "-1") {
      const auto [stop, error] =
          std::from_chars(dim.data(), dim.data() + dim.size(), size);
      if (error != std::errc() || stop != dim.data() + dim.size() || size < 1) {
        return bad();
      }
    }
    dims.push_back(size);
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  std::string name = text.substr(0, equals);
  if (name.ends_with(":0")) name.resize(name.size() - 2);
  return std::pair(std::move(name), Shape(std::move(dims)));
}

}  // namespace

void AddShapeOption(CLI::App& command, std::vector<std::string>& shapes) {
  command
      .add_option("--shape", shapes,
                  "NAME=Nx299x299x3: the shape of an input that the graph leaves open, "
                  "N being the batch")
      ->allow_extra_args(false);
}

absl::Status CheckShapeFlags(const std::vector<std::string>& flags,
                             const tensorflow::GraphDef& graph) {
  std::set<std::string_view> names;
  for (const tensorflow::NodeDef& node : graph.node()) names.insert(node.name());
  for (const std::string& text : flags) {
    ASSIGN_OR_RETURN(const auto shape, ParseShapeFlag(text));
    if (!names.contains(shape.first)) {
      return InvalidArgument("--shape {}: the graph has no node '{}'", text, shape.first);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<InputShapes> FindInputShapes(const std::vector<std::string>& flags,
                                            const tensorflow::GraphDef& graph,
                                            const std::vector<std::string>& inputs) {
  InputShapes shapes;
  for (const std::string& text : flags) {
    ASSIGN_OR_RETURN(auto shape, ParseShapeFlag(text));
    shapes.push_back(std::move(shape));
  }
  const size_t given = shapes.size();
  const std::set<std::string_view> wanted(inputs.begin(), inputs.end());
  for (const tensorflow::NodeDef& node : graph.node()) {
    const auto is_this = [&](const auto& shape) { return shape.first == node.name(); };
    if (!wanted.contains(node.name()) ||
        std::any_of(shapes.begin(), shapes.begin() + given, is_this)) {
      continue;
    }
    ASSIGN_OR_RETURN(auto shape, graph::DeclaredShape(graph, node));
    // The first size may be the batch.
    Shape known = shape.value_or(Shape{-1, -1});
    if (known.rank() > 0) known.set_dim(0, 1);
    if (!known.fully_known()) {
      return InvalidArgument(
          "the graph does not say the shape of '{}': --shape {}=Nx299x299x3", node.name(),
          node.name());
    }
    shapes.emplace_back(node.name(), *std::move(shape));
  }
  return shapes;
}

InputShapes WithBatch(InputShapes shapes, int64_t batch) {
  for (auto& [name, shape] : shapes) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape.dim(i) == -1) shape.set_dim(i, batch);
    }
  }
  return shapes;
}

}  // namespace oriel::cli
