#include <cmath>
#include <map>

#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/passes/constant_value.h"
#include "graph/passes/passes.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using Source = GraphIndex::Source;

// What makes scale * keep probability something else than 1 is no dropout.
constexpr double kTolerance = 1e-3;

bool IsAddition(const std::string& op) { return op == "Add" || op == "AddV2"; }

class Matcher {
 public:
  explicit Matcher(const GraphIndex& index) : index_(index) {}

  // What a dropout with this root gives on average; nullopt when it is none.
  std::optional<Source> Match(int root) const {
    const std::string& op = index_.node(root).op();
    const auto inputs = index_.data_inputs(root);
    if (op == "Mul" && inputs.size() == 2) {
      for (int k = 0; k < 2; ++k) {
        const auto keep = MaskProbability(inputs[k]);
        if (keep) return Unscale(inputs[1 - k], *keep);
      }
    }
    // Select(mask, scaled, 0)
    if ((op == "SelectV2" || op == "Select") && inputs.size() == 3) {
      const auto keep = ComparisonProbability(inputs[0]);
      if (keep && Number(inputs[2]) == 0.0) return Unscale(inputs[1], *keep);
    }
    return std::nullopt;
  }

 private:
  const std::string& op(Source source) const { return index_.node(source.node).op(); }

  std::span<const Source> operands(Source source, size_t count) const {
    const auto inputs = index_.data_inputs(source.node);
    return inputs.size() == count && source.output == 0 ? inputs
                                                        : std::span<const Source>();
  }

  std::optional<double> Number(Source source) const {
    const auto value = EvaluateChannels(index_, source);
    if (!value || value->values.size() != 1) return std::nullopt;
    return value->values[0];
  }

  // Uniform in [0,1): RandomUniform [* 1] [+ 0].
  bool IsUniform(Source source) const {
    for (const bool sum : {true, false}) {
      const bool fits = sum ? IsAddition(op(source)) : op(source) == "Mul";
      const auto terms = operands(source, 2);
      if (!fits || terms.empty()) continue;
      const double neutral = sum ? 0 : 1;
      if (Number(terms[1]) == neutral) {
        source = terms[0];
      } else if (Number(terms[0]) == neutral) {
        source = terms[1];
      } else {
        return false;
      }
    }
    return op(source) == "RandomUniform" || op(source) == "StatelessRandomUniform" ||
           op(source) == "StatelessRandomUniformV2";
  }

  // uniform >= rate: the probability is 1 - rate.
  std::optional<double> ComparisonProbability(Source source) const {
    const auto terms = operands(source, 2);
    if (op(source) != "GreaterEqual" || terms.empty() || !IsUniform(terms[0])) {
      return std::nullopt;
    }
    const auto rate = Number(terms[1]);
    return rate ? std::optional(1 - *rate) : std::nullopt;
  }

  // Cast(uniform >= rate), or Floor(uniform + keep) as older versions have it.
  std::optional<double> MaskProbability(Source source) const {
    const auto inner = operands(source, 1);
    if (inner.empty()) return std::nullopt;
    if (op(source) == "Cast") return ComparisonProbability(inner[0]);
    const auto terms = operands(inner[0], 2);
    if (op(source) != "Floor" || !IsAddition(op(inner[0])) || terms.empty()) {
      return std::nullopt;
    }
    for (int k = 0; k < 2; ++k) {
      if (IsUniform(terms[k])) return Number(terms[1 - k]);
    }
    return std::nullopt;
  }

  // x of x * (1 / keep) or x / keep.
  std::optional<Source> Unscale(Source scaled, double keep) const {
    const auto terms = operands(scaled, 2);
    if (terms.empty()) return std::nullopt;
    if (op(scaled) == "RealDiv") {
      const auto by = Number(terms[1]);
      if (by && std::abs(keep / *by - 1) < kTolerance) return terms[0];
    }
    for (int k = 0; k < 2 && op(scaled) == "Mul"; ++k) {
      const auto by = Number(terms[1 - k]);
      if (by && std::abs(keep * *by - 1) < kTolerance) return terms[k];
    }
    return std::nullopt;
  }

  const GraphIndex& index_;
};

}  // namespace

namespace {

// The root under its own name, for who waits for it or fetches it.
void MakeIdentity(const std::string& input, NodeDef& root) {
  NodeDef identity;
  identity.set_name(root.name());
  identity.set_op("Identity");
  identity.set_device(root.device());
  identity.add_input(input);
  for (const std::string& old : root.input()) {
    if (ParseInput(old).control) identity.add_input(old);
  }
  if (const auto it = root.attr().find("T"); it != root.attr().end()) {
    (*identity.mutable_attr())["T"] = it->second;
  }
  root.Swap(&identity);
}

}  // namespace

absl::StatusOr<int> RemoveDropout(GraphDef& graph, const OptimizeOptions&) {
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
  const Matcher matcher(index);
  // What each root is, dropouts behind one another looked through.
  std::map<int, Source> found;
  for (const int i : index.topological_order()) {
    auto kept = matcher.Match(i);
    if (!kept) continue;
    const auto before = found.find(kept->node);
    found[i] = before == found.end() ? *kept : before->second;
  }
  for (const auto& [root, source] : found) {
    const std::string input = FormatInput(index.node(source.node).name(), source.output);
    for (const auto& use : index.uses(root)) {
      const bool waits = index.HasControlInputs(root);
      if (use.control || waits || found.contains(use.node)) continue;
      graph.mutable_node(use.node)->set_input(use.input, input);
    }
  }
  for (const auto& [root, source] : found) {
    MakeIdentity(FormatInput(index.node(source.node).name(), source.output),
                 *graph.mutable_node(root));
  }
  return static_cast<int>(found.size());
}

}  // namespace oriel::graph
