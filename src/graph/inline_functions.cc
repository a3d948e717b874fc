#include "graph/inline_functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::AttrValue;
using tensorflow::FunctionDef;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 1'000'000;

// Operations with several named outputs of one tensor each; others have one output, or
// one list of them.
struct Outputs {
  std::string_view op;
  std::vector<std::string_view> names;
};

const std::vector<std::string_view>* NamedOutputs(const std::string& op) {
  static const auto* const table = new std::vector<Outputs>{
      {"FusedBatchNorm",
       {"y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"}},
      {"FusedBatchNormV2",
       {"y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"}},
      {"FusedBatchNormV3",
       {"y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2",
        "reserve_space_3"}},
      {"MaxPoolWithArgmax", {"output", "argmax"}},
      {"Merge", {"output", "value_index"}},
      {"Moments", {"mean", "variance"}},
      {"NonMaxSuppressionV4", {"selected_indices", "valid_outputs"}},
      {"NonMaxSuppressionV5", {"selected_indices", "selected_scores", "valid_outputs"}},
      {"SampleDistortedBoundingBox", {"begin", "size", "bboxes"}},
      {"SampleDistortedBoundingBoxV2", {"begin", "size", "bboxes"}},
      {"StatelessRandomGetKeyCounter", {"key", "counter"}},
      {"Switch", {"output_false", "output_true"}},
      {"TopK", {"values", "indices"}},
      {"TopKV2", {"values", "indices"}},
      {"Unique", {"y", "idx"}},
      {"UniqueV2", {"y", "idx"}},
      {"UniqueWithCounts", {"y", "idx", "count"}},
  };
  const auto it = std::find_if(table->begin(), table->end(),
                               [&](const Outputs& entry) { return entry.op == op; });
  return it == table->end() ? nullptr : &it->names;
}

// "node:output:2" of a function's body.
struct BodyInput {
  std::string node;
  std::string output;  // empty: an argument
  int index = 0;
};

BodyInput ParseBodyInput(std::string_view text) {
  BodyInput input;
  const size_t first = std::min(text.find(':'), text.size());
  input.node = std::string(text.substr(0, first));
  text.remove_prefix(std::min(first + 1, text.size()));
  const size_t second = std::min(text.find(':'), text.size());
  input.output = std::string(text.substr(0, second));
  text.remove_prefix(std::min(second + 1, text.size()));
  std::from_chars(text.data(), text.data() + text.size(), input.index);
  return input;
}

class Inliner {
 public:
  Inliner(const GraphDef& graph, uint64_t max_bytes)
      : graph_(graph), max_bytes_(max_bytes) {
    for (const FunctionDef& function : graph.library().function()) {
      functions_.emplace(function.signature().name(), &function);
    }
    for (const NodeDef& node : graph.node()) {
      taken_.insert(node.name());
      if (node.op() == "VarHandleOp") variables_.insert(node.name());
    }
  }

  absl::StatusOr<GraphDef> Run() {
    GraphDef result;
    for (const NodeDef& node : graph_.node()) {
      RETURN_IF_ERROR(Add(node, 0, result));
    }
    for (NodeDef& node : *result.mutable_node()) {
      for (std::string& input : *node.mutable_input()) Redirect(input);
    }
    if (graph_.has_versions()) *result.mutable_versions() = graph_.versions();
    if (std::any_of(result.node().begin(), result.node().end(), RefersToFunction)) {
      *result.mutable_library() = graph_.library();
    }
    return result;
  }

 private:
  static bool RefersToFunction(const NodeDef& node) {
    return std::any_of(node.attr().begin(), node.attr().end(), [](const auto& attr) {
      return attr.second.has_func() || attr.second.list().func_size() > 0;
    });
  }

  // The function that `node` calls; nullptr when it is another operation.
  absl::StatusOr<const FunctionDef*> Called(const NodeDef& node) const {
    std::string name = node.op();
    const bool calls =
        node.op() == "PartitionedCall" || node.op() == "StatefulPartitionedCall";
    if (calls) {
      const auto f = node.attr().find("f");
      if (f == node.attr().end() || !f->second.has_func()) {
        return InvalidArgument("node '{}' ({}) has no attribute 'f'", node.name(),
                               node.op());
      }
      name = f->second.func().name();
    }
    const auto it = functions_.find(name);
    if (it != functions_.end()) return it->second;
    if (!calls) return nullptr;
    return InvalidArgument("node '{}' ({}) calls '{}', which is no function of the graph",
                           node.name(), node.op(), name);
  }

  // Adds `node`, whose inputs are those of a graph, or what it calls.
  absl::Status Add(const NodeDef& node, int depth, GraphDef& result) {
    ASSIGN_OR_RETURN(const FunctionDef* const function, Called(node));
    const bool branches = IsIfOfVariables(node);
    if (function == nullptr && !branches) {
      return AddNode(node, result);
    }
    if (depth >= kMaxDepth) {
      return ResourceExhausted("node '{}': calls of functions are nested over {} deep",
                               node.name(), kMaxDepth);
    }
    if (branches) return AddIf(node, depth, result);
    auto status = AddCall(node, *function, depth, result);
    // One name is enough.
    if (status.ok() || depth > 0) return status;
    return Annotate(status, fmt::format("node '{}', which calls '{}'", node.name(),
                                        function->signature().name()));
  }

  absl::Status AddNode(NodeDef node, GraphDef& result) {
    bytes_ += node.ByteSizeLong();
    if (result.node_size() >= kMaxNodes || bytes_ > max_bytes_) {
      return ResourceExhausted(
          "node '{}': over {} nodes or {} bytes come of the functions", node.name(),
          kMaxNodes, max_bytes_);
    }
    *result.add_node() = std::move(node);
    return absl::OkStatus();
  }

  absl::Status AddCall(const NodeDef& call, const FunctionDef& function, int depth,
                       GraphDef& result) {
    Scope scope{call, function};
    for (const std::string& input : call.input()) {
      (input.starts_with('^') ? scope.controls : scope.arguments).push_back(input);
    }
    if (scope.arguments.size() != function.signature().input_arg_size()) {
      return InvalidArgument("has {} inputs, the function has {} arguments",
                             scope.arguments.size(),
                             function.signature().input_arg_size());
    }
    for (int i = 0; i < function.signature().input_arg_size(); ++i) {
      const auto& argument = function.signature().input_arg(i);
      if (!argument.number_attr().empty() || !argument.type_list_attr().empty()) {
        return InvalidArgument("argument '{}' of the function is a list",
                               argument.name());
      }
      scope.by_argument.emplace(argument.name(), i);
    }
    for (const NodeDef& node : function.node_def()) {
      scope.nodes.emplace(node.name(), &node);
    }
    RETURN_IF_ERROR(ChooseNames(scope));
    if (!scope.controls.empty()) {
      NodeDef gate;
      gate.set_name(NameIn(scope, kGate));
      gate.set_op("NoOp");
      for (const std::string& control : scope.controls) gate.add_input(control);
      RETURN_IF_ERROR(AddNode(std::move(gate), result));
    }
    for (const NodeDef& node : function.node_def()) {
      ASSIGN_OR_RETURN(const NodeDef copy, CopyOf(node, scope));
      RETURN_IF_ERROR(Add(copy, depth + 1, result));
    }
    return AddResults(scope, result);
  }

  // Whether variables go into the sides of an If, and values come out.
  bool IsIfOfVariables(const NodeDef& node) const {
    if (node.op() != "If" && node.op() != "StatelessIf") return false;
    const auto results = node.attr().find("Tout");
    const auto predicate = node.attr().find("Tcond");
    return results != node.attr().end() && results->second.list().type_size() > 0 &&
           predicate != node.attr().end() &&
           predicate->second.type() == tensorflow::DT_BOOL &&
           std::any_of(node.input().begin(), node.input().end(),
                       [&](const std::string& input) { return IsVariable(input); });
  }

  bool IsVariable(std::string_view input) const {
    return variables_.contains(std::string(ParseInput(input).node));
  }

  // As TensorFlow's runtime lowers it: Switch of each argument, the nodes of both sides,
  // Merge of each result. A variable is then read by nodes of the graph.
  absl::Status AddIf(const NodeDef& node, int depth, GraphDef& result) {
    std::vector<std::string> arguments, controls;
    for (const std::string& input : node.input()) {
      (input.starts_with('^') ? controls : arguments).push_back(input);
    }
    const auto types = node.attr().find("Tin");
    if (types == node.attr().end() ||
        types->second.list().type_size() + size_t{1} != arguments.size()) {
      return InvalidArgument("node '{}' ({}): has {} inputs and no types of them",
                             node.name(), node.op(), arguments.size());
    }
    // The predicate's own Switch tells each side that it runs.
    std::vector<std::string> switches;
    for (size_t k = 0; k < arguments.size(); ++k) {
      std::vector<std::string> inputs = {arguments[k], arguments[0]};
      inputs.insert(inputs.end(), controls.begin(), controls.end());
      const auto type = k == 0 ? tensorflow::DT_BOOL : types->second.list().type(k - 1);
      const std::string name = fmt::format("argument_{}", k);
      ASSIGN_OR_RETURN(std::string made,
                       AddPart(node, "Switch", name, type, inputs, result));
      if (IsVariable(arguments[k])) variables_.insert(made);
      switches.push_back(std::move(made));
    }
    ASSIGN_OR_RETURN(const std::string no, AddSide(node, 0, switches, depth, result));
    ASSIGN_OR_RETURN(const std::string yes, AddSide(node, 1, switches, depth, result));
    std::vector<std::string> merges;
    std::vector<int> merged_types;
    for (const int type : node.attr().at("Tout").list().type()) {
      const auto k = static_cast<int>(merges.size());
      ASSIGN_OR_RETURN(std::string made,
                       AddPart(node, "Merge", fmt::format("result_{}", k), type,
                               {FormatInput(no, k), FormatInput(yes, k)}, result));
      merges.push_back(std::move(made));
      merged_types.push_back(type);
    }
    const NodeDef merged = ResultNode(node, merges, merged_types);
    RETURN_IF_ERROR(AddNode(merged, result));
    RedirectResults(merged);
    return absl::OkStatus();
  }

  // The nodes of one side of an If; returns the node that stands for its results.
  absl::StatusOr<std::string> AddSide(const NodeDef& node, int side,
                                      const std::vector<std::string>& switches, int depth,
                                      GraphDef& result) {
    ASSIGN_OR_RETURN(
        const std::string runs,
        AddPart(node, "Identity", side ? "is_true" : "is_false", tensorflow::DT_BOOL,
                {FormatInput(switches[0], side)}, result));
    NodeDef call;
    call.set_name(Unique(fmt::format("{}/{}", node.name(), side ? "then" : "else")));
    call.set_op("PartitionedCall");
    call.set_device(node.device());
    const auto function = node.attr().find(side ? "then_branch" : "else_branch");
    if (function != node.attr().end()) (*call.mutable_attr())["f"] = function->second;
    for (size_t k = 1; k < switches.size(); ++k) {
      call.add_input(FormatInput(switches[k], side));
    }
    call.add_input("^" + runs);
    RETURN_IF_ERROR(Add(call, depth + 1, result));
    return call.name();
  }

  // A node "<node>/<name>" with one type; returns its name.
  absl::StatusOr<std::string> AddPart(const NodeDef& node, const char* op,
                                      std::string_view name, int type,
                                      const std::vector<std::string>& inputs,
                                      GraphDef& result) {
    NodeDef part;
    part.set_name(Unique(fmt::format("{}/{}", node.name(), name)));
    part.set_op(op);
    part.set_device(node.device());
    for (const std::string& input : inputs) part.add_input(input);
    (*part.mutable_attr())["T"].set_type(static_cast<tensorflow::DataType>(type));
    if (part.op() == "Merge") {
      (*part.mutable_attr())["N"].set_i(static_cast<int64_t>(inputs.size()));
    }
    RETURN_IF_ERROR(AddNode(part, result));
    return part.name();
  }

  // Stands for a call, with its name and its results.
  static NodeDef ResultNode(const NodeDef& call, const std::vector<std::string>& results,
                            const std::vector<int>& types) {
    NodeDef node;
    node.set_name(call.name());
    node.set_device(call.device());
    node.set_op(results.empty()       ? "NoOp"
                : results.size() == 1 ? "Identity"
                                      : "IdentityN");
    for (size_t k = 0; k < results.size(); ++k) {
      node.add_input(results[k]);
      const auto type = static_cast<tensorflow::DataType>(types[k]);
      AttrValue& attr = (*node.mutable_attr())["T"];
      if (results.size() == 1) {
        attr.set_type(type);
      } else {
        attr.mutable_list()->add_type(type);
      }
    }
    return node;
  }

  // A name that no node has.
  std::string Unique(const std::string& wanted) {
    std::string name = wanted;
    while (!taken_.insert(name).second) name = fmt::format("{}_{}", wanted, ++suffix_);
    return name;
  }

  struct Scope {
    const NodeDef& call;
    const FunctionDef& function;
    std::vector<std::string> arguments = {};  // inputs of the call
    std::vector<std::string> controls = {};
    std::map<std::string, int> by_argument = {};
    std::map<std::string, const NodeDef*> nodes = {};  // of the body
    std::string prefix = call.name();                  // of their names in the graph
  };

  // What waits for what the call waits for.
  static constexpr std::string_view kGate = "input_control";

  static std::string NameIn(const Scope& scope, std::string_view node) {
    return fmt::format("{}/{}", scope.prefix, node);
  }

  // The body's names begin with the call's, unless the graph has one of them: TensorFlow
  // puts "cond/Identity" beside "cond".
  absl::Status ChooseNames(Scope& scope) {
    constexpr int kMaxTries = 1000;
    const auto is_taken = [&] {
      if (!scope.controls.empty() && taken_.contains(NameIn(scope, kGate))) return true;
      return std::any_of(scope.nodes.begin(), scope.nodes.end(), [&](const auto& node) {
        return taken_.contains(NameIn(scope, node.first));
      });
    };
    for (int i = 1; is_taken(); ++i) {
      if (i > kMaxTries) return InvalidArgument("names in the function are all taken");
      scope.prefix = fmt::format("{}_{}", scope.call.name(), i);
    }
    if (!scope.controls.empty()) taken_.insert(NameIn(scope, kGate));
    for (const auto& [name, node] : scope.nodes) taken_.insert(NameIn(scope, name));
    return absl::OkStatus();
  }

  // A node of the function as a node of the graph.
  absl::StatusOr<NodeDef> CopyOf(const NodeDef& node, const Scope& scope) const {
    NodeDef copy = node;
    copy.set_name(NameIn(scope, node.name()));
    copy.clear_input();
    for (const std::string& input : node.input()) {
      ASSIGN_OR_RETURN(std::string outer, InputOf(input, scope));
      copy.add_input(std::move(outer));
    }
    if (node.input().empty() && !scope.controls.empty()) {
      copy.add_input("^" + NameIn(scope, kGate));
    }
    for (auto& [name, value] : *copy.mutable_attr()) SubstituteAttr(scope, value);
    const auto colocation = copy.mutable_attr()->find("_class");
    if (colocation != copy.mutable_attr()->end()) {
      constexpr std::string_view kPrefix = "loc:@";
      for (std::string& entry : *colocation->second.mutable_list()->mutable_s()) {
        if (!entry.starts_with(kPrefix)) continue;
        const std::string other = entry.substr(kPrefix.size());
        if (scope.nodes.contains(other)) {
          entry = fmt::format("{}{}", kPrefix, NameIn(scope, other));
        }
      }
    }
    return copy;
  }

  // Attributes of generic functions come from the call.
  static void SubstituteAttr(const Scope& scope, AttrValue& value) {
    if (value.value_case() != AttrValue::kPlaceholder) return;
    const auto f = scope.call.attr().find("f");
    const auto& attrs = f != scope.call.attr().end() && f->second.has_func()
                            ? f->second.func().attr()
                            : scope.call.attr();
    const auto given = attrs.find(value.placeholder());
    if (given != attrs.end()) {
      const AttrValue copy = given->second;
      value = copy;
    }
  }

  // What a text of the body ("argument", "node:output:0", "^node") is outside.
  absl::StatusOr<std::string> InputOf(const std::string& text, const Scope& scope) const {
    if (text.starts_with('^')) {
      const std::string node = text.substr(1);
      const auto argument = scope.by_argument.find(node);
      if (argument != scope.by_argument.end()) {
        const InputRef ref = ParseInput(scope.arguments[argument->second]);
        return fmt::format("^{}", ref.node);
      }
      return fmt::format("^{}", NameIn(scope, node));
    }
    const BodyInput input = ParseBodyInput(text);
    const auto argument = scope.by_argument.find(input.node);
    if (argument != scope.by_argument.end() && !scope.nodes.contains(input.node)) {
      return scope.arguments[argument->second];
    }
    const auto node = scope.nodes.find(input.node);
    if (node == scope.nodes.end()) {
      return InvalidArgument("Input for {} not found: {}",
                             scope.function.signature().name(), text);
    }
    ASSIGN_OR_RETURN(const int output, OutputOf(*node->second, input));
    return FormatInput(NameIn(scope, input.node), output);
  }

  // The number of a body node's output.
  absl::StatusOr<int> OutputOf(const NodeDef& node, const BodyInput& input) const {
    const auto unknown = InvalidArgument("output '{}' of node '{}' ({}) is not known",
                                         input.output, node.name(), node.op());
    if (input.index < 0) return unknown;
    if (const auto function = functions_.find(node.op()); function != functions_.end()) {
      const auto& results = function->second->signature().output_arg();
      const auto it = std::find_if(results.begin(), results.end(), [&](const auto& arg) {
        return arg.name() == input.output;
      });
      if (it == results.end()) return unknown;
      return static_cast<int>(it - results.begin());
    }
    const auto* const names = NamedOutputs(node.op());
    if (names == nullptr) return input.index;
    const auto it = std::find(names->begin(), names->end(), input.output);
    if (it == names->end() || input.index != 0) return unknown;
    return static_cast<int>(it - names->begin());
  }

  static int TypeOf(const tensorflow::OpDef::ArgDef& result, const Scope& scope) {
    AttrValue type;
    type.set_type(result.type());
    if (!result.type_attr().empty()) {
      type.set_placeholder(result.type_attr());
      SubstituteAttr(scope, type);
    }
    return type.type();
  }

  // The node that stands for the call, with its name and its results.
  absl::Status AddResults(const Scope& scope, GraphDef& result) {
    const auto& results = scope.function.signature().output_arg();
    std::vector<std::string> sources;
    for (const auto& output : results) {
      const auto ret = scope.function.ret().find(output.name());
      if (ret == scope.function.ret().end()) {
        return InvalidArgument("the function has no result '{}'", output.name());
      }
      ASSIGN_OR_RETURN(std::string source, InputOf(ret->second, scope));
      sources.push_back(std::move(source));
    }
    std::vector<int> types;
    for (const auto& output : results) types.push_back(TypeOf(output, scope));
    NodeDef node = ResultNode(scope.call, sources, types);
    std::set<std::string> controls;
    for (const auto& [name, control] : scope.function.control_ret()) {
      controls.insert(NameIn(scope, control));
    }
    for (const std::string& control : controls) node.add_input("^" + control);
    if (sources.empty() && controls.empty()) {
      for (const std::string& control : scope.controls) node.add_input(control);
    }
    RETURN_IF_ERROR(AddNode(node, result));
    RedirectResults(node);
    return absl::OkStatus();
  }

  // Who reads one of several results of `node` (IdentityN) reads its source.
  void RedirectResults(const NodeDef& node) {
    if (node.op() != "IdentityN") return;
    redirected_.emplace(node.name() + ":0", node.input(0));
    for (int k = 0; k < node.input_size() && !node.input(k).starts_with('^'); ++k) {
      redirected_.emplace(FormatInput(node.name(), k), node.input(k));
    }
  }

  // One of several results is read where it is made, so that the others need not be; that
  // may be a call again.
  void Redirect(std::string& input) const {
    for (int steps = 0; steps <= kMaxDepth; ++steps) {
      const auto it = redirected_.find(input);
      if (it == redirected_.end()) return;
      input = it->second;
    }
  }

  const GraphDef& graph_;
  const uint64_t max_bytes_;
  uint64_t bytes_ = 0;
  std::unordered_map<std::string, const FunctionDef*> functions_;
  std::unordered_set<std::string> taken_;  // names of nodes
  int suffix_ = 0;                         // the last one of Unique
  // VarHandleOp, and Switch of it.
  std::unordered_set<std::string> variables_;
  std::unordered_map<std::string, std::string> redirected_;  // inputs
};

}  // namespace

absl::StatusOr<GraphDef> InlineFunctions(const GraphDef& graph, uint64_t max_bytes) {
  return Inliner(graph, max_bytes).Run();
}

}  // namespace oriel::graph
