#include "graph/dot.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <unordered_set>

#include "base/utf8.h"
#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// A string of Graphviz's: quotes and backslashes are escaped, control characters and
// what is not UTF-8 replaced; a line of the label for each line.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (begin > 0) quoted += "\\n";
    for (const char c : Printable(text.substr(begin, end - begin))) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    begin = end + 1;
  }
  return quoted + '"';
}

std::string_view Colour(std::string_view op) {
  const auto has = [op](std::string_view part) { return op.find(part) != op.npos; };
  if (op.starts_with("Placeholder")) return "#cfe8cf";
  if (has("Conv") || has("MatMul")) return "#cfdcf2";
  if (has("Norm") || has("BiasAdd")) return "#e6dcf2";
  if (has("Pool") || op == "Mean") return "#f2e3cf";
  if (has("Relu") || has("Sigmoid") || has("Softmax") || has("Tanh")) return "#f2cfcf";
  if (op == "Const" || op.starts_with("Var")) return "#eeeeee";
  return "#ffffff";
}

}  // namespace

std::string FormatDot(const GraphDef& graph, const DotOptions& options) {
  std::unordered_set<std::string_view> drawn;
  for (const NodeDef& node : graph.node()) {
    if (options.constants || node.op() != "Const") drawn.insert(node.name());
  }
  std::string dot =
      "digraph {\n"
      "  node [shape=box style=filled fontname=\"sans-serif\" fontsize=10]\n"
      "  edge [fontname=\"sans-serif\" fontsize=8]\n";
  for (const NodeDef& node : graph.node()) {
    if (!drawn.contains(node.name())) continue;
    std::string label = fmt::format("{}\n{}", node.name(), node.op());
    if (options.note) {
      if (const std::string note = options.note(node); !note.empty())
        label += '\n' + note;
    }
    fmt::format_to(std::back_inserter(dot), "  {} [label={} fillcolor=\"{}\"]\n",
                   Quoted(node.name()), Quoted(label), Colour(node.op()));
  }
  for (const NodeDef& node : graph.node()) {
    if (!drawn.contains(node.name())) continue;
    for (const std::string& input : node.input()) {
      const InputRef ref = ParseInput(input);
      if (!drawn.contains(ref.node)) continue;
      fmt::format_to(std::back_inserter(dot), "  {} -> {}{}\n", Quoted(ref.node),
                     Quoted(node.name()),
                     ref.control      ? " [style=dashed]"
                     : ref.output > 0 ? fmt::format(" [taillabel=\"{}\"]", ref.output)
                                      : std::string());
    }
  }
  return dot + "}\n";
}

}  // namespace oriel::graph
