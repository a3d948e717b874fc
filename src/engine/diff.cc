#include "engine/diff.h"

#include <algorithm>
#include <set>

#include "graph/graph_index.h"
#include "graph/graph_util.h"

namespace oriel::engine {
namespace {

using graph::GraphIndex;
using tensorflow::GraphDef;

// Tensors that are fetched from one run.
constexpr size_t kAtOnce = 64;

constexpr const char* kSides[] = {"first graph", "second graph"};

// A graph, and which of its nodes the comparison is about.
struct Side {
  const GraphDef* graph = nullptr;
  GraphIndex index;
  std::vector<bool> wanted;  // by node: behind the outputs, and not fed
};

std::string_view NodeOf(const std::string& tensor) {
  return graph::ParseInput(tensor).node;
}

absl::StatusOr<Side> MakeSide(const GraphDef& graph, const DiffOptions& options) {
  ASSIGN_OR_RETURN(GraphIndex index, GraphIndex::Create(graph));
  Side side{&graph, std::move(index), std::vector<bool>(graph.node_size(), false)};
  std::vector<bool> fed(graph.node_size(), false);
  for (const auto& [name, value] : options.inputs) {
    const int node = side.index.Find(NodeOf(name));
    if (node == GraphIndex::kNone) {
      return InvalidArgument("input '{}' is not in the graph", name);
    }
    fed[node] = true;
  }
  std::vector<int> stack;
  const auto reach = [&](int node) {
    if (fed[node] || side.wanted[node]) return;
    side.wanted[node] = true;
    stack.push_back(node);
  };
  for (const std::string& name : options.outputs) {
    const int node = side.index.Find(NodeOf(name));
    if (node == GraphIndex::kNone) {
      return InvalidArgument("output '{}' is not in the graph", name);
    }
    reach(node);
  }
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    for (const auto& source : side.index.data_inputs(node)) reach(source.node);
  }
  // What does not follow from the inputs is a constant, and compared as one.
  std::vector<bool> follows = fed;
  for (const int node : side.index.topological_order()) {
    for (const auto& source : side.index.data_inputs(node)) {
      if (follows[source.node]) follows[node] = true;
    }
    if (!follows[node]) side.wanted[node] = false;
  }
  return side;
}

// The tensors to compare, producers first.
std::vector<std::string> CommonTensors(const Side& a, const Side& b) {
  std::vector<std::string> names;
  for (const int node : a.index.topological_order()) {
    const std::string& name = a.index.node(node).name();
    const int other = b.index.Find(name);
    if (!a.wanted[node] || other == GraphIndex::kNone || !b.wanted[other]) continue;
    std::set<int> outputs = {0};
    for (const auto& use : a.index.uses(node)) {
      if (!use.control && a.wanted[use.node]) outputs.insert(use.output);
    }
    for (const int output : outputs) names.push_back(graph::FormatInput(name, output));
  }
  return names;
}

class Comparison {
 public:
  Comparison(const Side& a, const Side& b, const DiffOptions& options)
      : sides_{&a, &b}, options_(options), weights_{NewWeightStore(), NewWeightStore()} {}

  absl::StatusOr<GraphValues> Run() {
    GraphValues result;
    const std::vector<std::string> names = CommonTensors(*sides_[0], *sides_[1]);
    const int total = static_cast<int>((names.size() + kAtOnce - 1) / kAtOnce) + 1;
    for (int part = 0; part + 1 < total; ++part) {
      const auto begin = names.begin() + part * kAtOnce;
      const auto end = names.begin() + std::min((part + 1) * kAtOnce, names.size());
      RETURN_IF_ERROR(ReportProgress(part, total));
      RETURN_IF_ERROR(Compare({begin, end}, result.values));
    }
    RETURN_IF_ERROR(ReportProgress(total - 1, total));
    RETURN_IF_ERROR(Compare(options_.outputs, result.outputs));
    return result;
  }

 private:
  absl::Status ReportProgress(int done, int total) const {
    return options_.on_progress ? options_.on_progress(done, total) : absl::OkStatus();
  }

  absl::StatusOr<std::vector<Tensor>> Fetch(int side,
                                            const std::vector<std::string>& names) {
    PlanOptions plan_options;
    plan_options.backend = options_.backend;
    plan_options.precision = Precision::kF32Exact;
    plan_options.threads = options_.threads;
    plan_options.outputs = names;
    plan_options.weights = weights_[side];
    std::vector<Tensor> inputs;
    for (const auto& [name, value] : options_.inputs) {
      plan_options.inputs.emplace_back(name, value.shape());
      inputs.push_back(value);
    }
    ASSIGN_OR_RETURN(const auto plan, Plan::Compile(*sides_[side]->graph, plan_options));
    if (plan->inputs().size() > inputs.size()) {
      return InvalidArgument("input '{}' has no value",
                             plan->inputs()[inputs.size()].name);
    }
    std::vector<Tensor> outputs = MakeTensors(plan->outputs());
    const auto context = plan->NewContext();
    RETURN_IF_ERROR(plan->Run(*context, inputs, outputs));
    return outputs;
  }

  absl::Status Compare(const std::vector<std::string>& names,
                       std::vector<ValueDifference>& differences) {
    std::vector<Tensor> values[2];
    for (int side = 0; side < 2; ++side) {
      auto fetched = Fetch(side, names);
      if (!fetched.ok()) return Annotate(fetched.status(), kSides[side]);
      values[side] = *std::move(fetched);
    }
    for (size_t i = 0; i < names.size(); ++i) {
      differences.push_back(
          {names[i], OpOf(0, names[i]), OpOf(1, names[i]),
           CompareTensors(values[0][i], values[1][i], options_.tolerance)});
    }
    return absl::OkStatus();
  }

  const std::string& OpOf(int side, const std::string& name) const {
    const GraphIndex& index = sides_[side]->index;
    return index.node(index.Find(NodeOf(name))).op();
  }

  const Side* sides_[2];
  const DiffOptions& options_;
  std::shared_ptr<WeightStore> weights_[2];
};

}  // namespace

absl::StatusOr<GraphValues> CompareValues(const GraphDef& a, const GraphDef& b,
                                          const DiffOptions& options) {
  const auto first = MakeSide(a, options);
  if (!first.ok()) return Annotate(first.status(), kSides[0]);
  const auto second = MakeSide(b, options);
  if (!second.ok()) return Annotate(second.status(), kSides[1]);
  return Comparison(*first, *second, options).Run();
}

}  // namespace oriel::engine
