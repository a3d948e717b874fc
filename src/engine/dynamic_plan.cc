#include "engine/dynamic_plan.h"

#include <algorithm>
#include <list>
#include <map>

#include "engine/evaluate.h"
#include "engine/op_setup.h"
#include "engine/ops.h"
#include "engine/unsupported.h"
#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/inline_functions.h"

namespace oriel::engine {
namespace {

using graph::GraphIndex;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

// Plans for so many different shapes are kept.
constexpr size_t kMaxPlans = 4;
// Numbers between front and network that are sizes rather than images: the plan takes
// them for constants.
constexpr int64_t kMaxKnown = 64;
struct Endpoint {
  int node = 0;
  int output = 0;
  auto operator<=>(const Endpoint&) const = default;
};

bool IsStringPlaceholder(const NodeDef& node) {
  if (node.op() != "Placeholder" && node.op() != "PlaceholderWithDefault") return false;
  const auto dtype = node.attr().find("dtype");
  return dtype != node.attr().end() && dtype->second.type() == tensorflow::DT_STRING;
}

// Makes a network: nothing that depends on it is of the front.
bool IsOfNetwork(const NodeDef& node) {
  const OpType* const type = FindOp(node.op());
  return type != nullptr && type->ref != nullptr && !type->foldable;
}

class Dynamic : public DynamicPlan {
 public:
  Dynamic(std::shared_ptr<const GraphDef> inlined, const GraphDef& graph,
          GraphIndex index, PlanOptions options, uint64_t max_bytes)
      : inlined_(std::move(inlined)),
        graph_(graph),
        index_(std::move(index)),
        options_(std::move(options)),
        max_bytes_(max_bytes) {
    // One for all plans: what they pack is shared.
    if (options_.weights == nullptr) options_.weights = NewWeightStore();
  }

  absl::Status Split() {
    for (const auto& [name, shape] : options_.inputs) {
      ASSIGN_OR_RETURN(const Endpoint endpoint, Find(name, "input"));
      if (!fed_.emplace(endpoint, fed_.size()).second) {
        return InvalidArgument("input '{}' is given twice", name);
      }
    }
    if (options_.outputs.empty()) return InvalidArgument("no outputs are asked for");
    for (const std::string& name : options_.outputs) {
      ASSIGN_OR_RETURN(const Endpoint endpoint, Find(name, "output"));
      outputs_.push_back(endpoint);
    }
    MarkNeeded();
    RETURN_IF_ERROR(MarkFront());
    FindCuts();
    return CheckNetwork();
  }

  absl::StatusOr<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) override {
    if (inputs.size() != fed_.size()) {
      return InvalidArgument("Run got {} inputs, the graph has {}", inputs.size(),
                             fed_.size());
    }
    ASSIGN_OR_RETURN(const Values values, RunFront(inputs));
    std::vector<Tensor> results(outputs_.size());
    std::vector<size_t> of_network;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto it = values.find(outputs_[i]);
      if (it != values.end()) {
        results[i] = it->second;
      } else {
        of_network.push_back(i);
      }
    }
    if (of_network.empty()) return results;
    RETURN_IF_ERROR(RunNetwork(inputs, values, of_network, results));
    return results;
  }

  int compiled() const override { return compiled_; }
  const Plan* plan() const override {
    return plans_.empty() ? nullptr : plans_.front().plan.get();
  }

 private:
  using Values = std::map<Endpoint, Tensor>;

  // A plan for what the front made once.
  struct Compiled {
    std::string key;
    std::vector<Endpoint> cuts;  // that are fed, after the options' own inputs
    std::shared_ptr<const Plan> plan;
    std::unique_ptr<ExecutionContext> context;
  };

  absl::StatusOr<Endpoint> Find(const std::string& name, std::string_view what) const {
    const graph::InputRef ref = graph::ParseInput(name);
    const int node = index_.Find(ref.node);
    if (ref.control || node == GraphIndex::kNone) {
      return InvalidArgument("{} '{}' is not in the graph", what, name);
    }
    return Endpoint{node, ref.output};
  }

  std::string NameOf(Endpoint endpoint) const {
    return graph::FormatInput(index_.node(endpoint.node).name(), endpoint.output);
  }

  // Calls visit(endpoint) for each data input that is not fed.
  template <typename Visit>
  void ForInputs(int node, Visit visit) const {
    for (const auto& source : index_.data_inputs(node)) {
      const Endpoint endpoint{source.node, source.output};
      if (!fed_.contains(endpoint)) visit(endpoint);
    }
  }

  void MarkNeeded() {
    needed_.assign(index_.size(), false);
    std::vector<int> stack;
    const auto need = [&](Endpoint endpoint) {
      if (needed_[endpoint.node]) return;
      needed_[endpoint.node] = true;
      stack.push_back(endpoint.node);
    };
    for (const Endpoint& output : outputs_) {
      if (!fed_.contains(output)) need(output);
    }
    while (!stack.empty()) {
      const int node = stack.back();
      stack.pop_back();
      ForInputs(node, need);
    }
  }

  // Whether a node reads a string that is fed, itself or through others: `dynamic_`; and
  // whether it is of the front or, after an operation of networks, is not.
  absl::Status MarkFront() {
    dynamic_.assign(index_.size(), false);
    std::vector<bool> network(index_.size(), false);
    for (const int node : index_.topological_order()) {
      if (!needed_[node]) continue;
      const NodeDef& def = index_.node(node);
      if (IsStringPlaceholder(def)) {
        return InvalidArgument("input '{}' (string) is not fed", def.name());
      }
      for (const auto& source : index_.data_inputs(node)) {
        if (fed_.contains({source.node, source.output})) {
          dynamic_[node] =
              dynamic_[node] || IsStringPlaceholder(index_.node(source.node));
        } else {
          dynamic_[node] = dynamic_[node] || dynamic_[source.node];
          network[node] = network[node] || network[source.node];
        }
      }
      network[node] = network[node] || (dynamic_[node] && IsOfNetwork(def));
      if (dynamic_[node] && !network[node]) front_.push_back(node);
    }
    return AddConstantsOfFront();
  }

  // What the front reads beside the strings comes before it, in running order.
  absl::Status AddConstantsOfFront() {
    std::vector<bool> wanted(index_.size(), false);
    for (const int node : front_) wanted[node] = true;
    const auto& order = index_.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      if (wanted[*it]) ForInputs(*it, [&](Endpoint e) { wanted[e.node] = true; });
    }
    front_.clear();
    for (const int node : order) {
      if (wanted[node]) front_.push_back(node);
    }
    of_front_ = std::move(wanted);
    return absl::OkStatus();
  }

  // What is read of the front by the network, or wanted of it.
  void FindCuts() {
    for (int node = 0; node < index_.size(); ++node) {
      if (!needed_[node] || of_front_[node]) continue;
      ForInputs(node, [&](Endpoint endpoint) {
        if (dynamic_[endpoint.node] && of_front_[endpoint.node])
          cuts_.push_back(endpoint);
      });
    }
    std::sort(cuts_.begin(), cuts_.end());
    cuts_.erase(std::unique(cuts_.begin(), cuts_.end()), cuts_.end());
    kept_ = cuts_;
    for (const Endpoint& output : outputs_) {
      if (of_front_[output.node] || fed_.contains(output)) kept_.push_back(output);
    }
    last_use_.assign(index_.size(), -1);
    for (size_t i = 0; i < front_.size(); ++i) {
      ForInputs(front_[i], [&](Endpoint e) { last_use_[e.node] = static_cast<int>(i); });
    }
    for (const Endpoint& endpoint : kept_) last_use_[endpoint.node] = INT32_MAX;
  }

  // Lists what no plan could run, before an image is there.
  absl::Status CheckNetwork() const {
    UnsupportedList unsupported;
    for (int node = 0; node < index_.size(); ++node) {
      const NodeDef& def = index_.node(node);
      if (needed_[node] && def.op() != "Placeholder" && FindOp(def.op()) == nullptr) {
        unsupported.Add(def.op(), def.name());
      }
    }
    return unsupported.empty() ? absl::OkStatus() : unsupported.Error();
  }

  // The value of an endpoint that the front reads.
  absl::StatusOr<Tensor> ValueOf(
      Endpoint endpoint, const std::vector<Tensor>& inputs,
      const std::map<int, std::vector<Tensor>>& computed) const {
    const auto fed = fed_.find(endpoint);
    if (fed != fed_.end()) return inputs[fed->second];
    const std::vector<Tensor>& outputs = computed.at(endpoint.node);
    if (static_cast<size_t>(endpoint.output) >= outputs.size()) {
      return InvalidArgument("node '{}' ({}) has {} outputs, not output {}",
                             index_.node(endpoint.node).name(),
                             index_.node(endpoint.node).op(), outputs.size(),
                             endpoint.output);
    }
    return outputs[endpoint.output];
  }

  absl::StatusOr<Values> RunFront(const std::vector<Tensor>& inputs) const {
    const EvaluateOptions options{.max_bytes = max_bytes_,
                                  .constants = options_.constants};
    std::map<int, std::vector<Tensor>> computed;  // that are still to be read
    for (size_t i = 0; i < front_.size(); ++i) {
      const int node = front_[i];
      std::vector<Tensor> arguments;
      for (const auto& source : index_.data_inputs(node)) {
        ASSIGN_OR_RETURN(Tensor value,
                         ValueOf({source.node, source.output}, inputs, computed));
        arguments.push_back(std::move(value));
      }
      ASSIGN_OR_RETURN(computed[node], Evaluate(index_.node(node), arguments, options));
      ForInputs(node, [&](Endpoint e) {
        if (last_use_[e.node] == static_cast<int>(i)) computed.erase(e.node);
      });
      if (last_use_[node] < 0) computed.erase(node);
    }
    Values values;
    for (const Endpoint& endpoint : kept_) {
      ASSIGN_OR_RETURN(values[endpoint], ValueOf(endpoint, inputs, computed));
    }
    return values;
  }

  static bool IsKnown(const Tensor& value) {
    return value.dtype() != DType::kFloat32 && value.elements() <= kMaxKnown;
  }

  absl::StatusOr<Compiled*> FindPlan(const std::vector<Tensor>& inputs,
                                     const Values& values,
                                     const std::vector<size_t>& of_network) {
    std::string key;
    for (const Tensor& input : inputs) key += input.shape().ToString();
    for (const Endpoint& cut : cuts_) {
      const Tensor& value = values.at(cut);
      key += fmt::format(" {}{}", DTypeName(value.dtype()), value.shape().ToString());
      if (IsKnown(value)) key += AsStringView(value.bytes());
    }
    const auto it = std::find_if(plans_.begin(), plans_.end(),
                                 [&](const Compiled& c) { return c.key == key; });
    if (it != plans_.end()) {
      plans_.splice(plans_.begin(), plans_, it);
      return &plans_.front();
    }
    ASSIGN_OR_RETURN(Compiled compiled, Compile(inputs, values, of_network));
    compiled.key = std::move(key);
    if (plans_.size() >= kMaxPlans) plans_.pop_back();
    plans_.push_front(std::move(compiled));
    return &plans_.front();
  }

  absl::StatusOr<Compiled> Compile(const std::vector<Tensor>& inputs,
                                   const Values& values,
                                   const std::vector<size_t>& of_network) {
    Compiled compiled;
    PlanOptions options = options_;
    options.outputs.clear();
    for (const size_t i : of_network) options.outputs.push_back(options_.outputs[i]);
    options.inputs.clear();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].dtype() == DType::kString) continue;
      options.inputs.emplace_back(options_.inputs[i].first, inputs[i].shape());
    }
    for (const Endpoint& cut : cuts_) {
      const Tensor& value = values.at(cut);
      if (IsKnown(value)) {
        options.values.emplace_back(NameOf(cut), value);
      } else {
        options.inputs.emplace_back(NameOf(cut), value.shape());
        compiled.cuts.push_back(cut);
      }
    }
    ASSIGN_OR_RETURN(compiled.plan, Plan::Compile(graph_, options));
    uint64_t bytes = compiled.plan->stats().arena_bytes;
    for (const TensorSpec& output : compiled.plan->outputs()) {
      bytes += static_cast<uint64_t>(output.shape.elements()) * ElementSize(output.dtype);
    }
    if (bytes > max_bytes_) {
      return ResourceExhausted(
          "for this image the network needs {} bytes, at most {} are "
          "allowed",
          bytes, max_bytes_);
    }
    compiled.context = compiled.plan->NewContext();
    ++compiled_;
    return compiled;
  }

  absl::Status RunNetwork(const std::vector<Tensor>& inputs, const Values& values,
                          const std::vector<size_t>& of_network,
                          std::vector<Tensor>& results) {
    ASSIGN_OR_RETURN(Compiled* const compiled, FindPlan(inputs, values, of_network));
    std::vector<Tensor> fed;
    for (const Tensor& input : inputs) {
      if (input.dtype() != DType::kString) fed.push_back(input);
    }
    for (const Endpoint& cut : compiled->cuts) fed.push_back(values.at(cut));
    std::vector<Tensor> outputs = MakeTensors(compiled->plan->outputs());
    RETURN_IF_ERROR(compiled->plan->Run(*compiled->context, fed, outputs));
    for (size_t i = 0; i < outputs.size(); ++i) results[of_network[i]] = outputs[i];
    return absl::OkStatus();
  }

  const std::shared_ptr<const GraphDef> inlined_;  // null: there was nothing to inline
  const GraphDef& graph_;
  const GraphIndex index_;
  PlanOptions options_;
  const uint64_t max_bytes_;
  std::map<Endpoint, size_t> fed_;  // -> number of the input
  std::vector<Endpoint> outputs_;
  std::vector<bool> needed_, dynamic_, of_front_;  // by node
  std::vector<int> front_;      // nodes in running order, with the constants they read
  std::vector<Endpoint> cuts_;  // made by the front, read by the network
  std::vector<Endpoint> kept_;  // cuts_, and outputs that the front makes
  std::vector<int> last_use_;   // by node: the last of front_ that reads it
  std::list<Compiled> plans_;   // the last used first
  int compiled_ = 0;
};

}  // namespace

std::vector<std::string> StringInputs(const GraphDef& graph) {
  std::vector<std::string> names;
  for (const NodeDef& node : graph.node()) {
    if (node.op() == "Placeholder" && IsStringPlaceholder(node)) {
      names.push_back(node.name());
    }
  }
  return names;
}

absl::StatusOr<Shape> StringInputShape(const GraphDef& graph, const std::string& input) {
  for (const NodeDef& node : graph.node()) {
    if (node.name() != input) continue;
    ASSIGN_OR_RETURN(const auto declared, graph::DeclaredShape(graph, node));
    if (!declared) return Shape{};
    Shape shape = *declared;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape.dim(i) == -1) shape.set_dim(i, 1);
      if (shape.dim(i) != 1) {
        return InvalidArgument("input '{}' takes strings of shape {}, want one string",
                               input, declared->ToString());
      }
    }
    return shape;
  }
  return InvalidArgument("input '{}' is not in the graph", input);
}

absl::StatusOr<std::unique_ptr<DynamicPlan>> DynamicPlan::Create(
    const GraphDef& graph, const PlanOptions& options, uint64_t max_bytes) {
  std::shared_ptr<const GraphDef> inlined;
  if (!graph.library().function().empty()) {
    ASSIGN_OR_RETURN(GraphDef made, graph::InlineFunctions(graph));
    inlined = std::make_shared<const GraphDef>(std::move(made));
  }
  const GraphDef& used = inlined != nullptr ? *inlined : graph;
  ASSIGN_OR_RETURN(GraphIndex index, GraphIndex::Create(used));
  auto plan =
      std::make_unique<Dynamic>(inlined, used, std::move(index), options, max_bytes);
  RETURN_IF_ERROR(plan->Split());
  return plan;
}

}  // namespace oriel::engine
