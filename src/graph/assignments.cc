#include "graph/assignments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::NodeDef;

template <size_t N>
bool IsOneOf(const std::string& op, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

// Operations whose output is their first input.
bool PassesOn(const NodeDef& node) {
  constexpr std::array<std::string_view, 5> kOps = {
      "Identity", "RefIdentity", "StopGradient", "Snapshot", "PlaceholderWithDefault"};
  return IsOneOf(node.op(), kOps);
}

bool Assigns(const NodeDef& node) {
  return node.op() == "Assign" || node.op() == "AssignVariableOp";
}

bool Restores(const NodeDef& node) {
  return node.op() == "RestoreV2" || node.op() == "Restore" ||
         node.op() == "RestoreSlice";
}

bool OnlyReadsHandle(const NodeDef& node) {
  constexpr std::array<std::string_view, 5> kOps = {"ReadVariableOp", "ResourceGather",
                                                    "ResourceGatherNd", "VariableShape",
                                                    "VarIsInitializedOp"};
  return IsOneOf(node.op(), kOps) || PassesOn(node);
}

// Operations change a variable that they take by reference when one of these words is in
// their name; all others read it.
bool ChangesReference(const NodeDef& node) {
  constexpr std::array<std::string_view, 4> kWords = {"Assign", "Apply", "Scatter",
                                                      "CountUpTo"};
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view word) {
    return node.op().find(word) != std::string::npos;
  });
}

bool CallsFunction(const NodeDef& node) {
  constexpr std::array<std::string_view, 9> kOps = {
      "PartitionedCall", "StatefulPartitionedCall",
      "RemoteCall",      "If",
      "StatelessIf",     "While",
      "StatelessWhile",  "Case",
      "SymbolicGradient"};
  return IsOneOf(node.op(), kOps);
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [next, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || next != end || value < 0) return std::nullopt;
  return value;
}

// What stands before the first `separator`, which is taken off `text` with it.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const size_t at = std::min(text.find(separator), text.size());
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

// TensorFlow's text for part of a tensor: the sizes of the whole, separated by blanks,
// then one of "-" or "start,length" for each of them, separated by colons: "6 4 0,3:-".
// Empty text is the whole tensor.
absl::Status ParseShapeAndSlice(std::string_view text, VariableValue& value) {
  if (text.empty()) return absl::OkStatus();
  const absl::Status malformed =
      InvalidArgument("'{}' is no shape and slice such as '6 4 0,3:-'", text);
  const size_t last = text.rfind(' ');
  std::string_view sizes = text.substr(0, std::min(last, text.size()));
  std::string_view parts =
      last == std::string_view::npos ? std::string_view() : text.substr(last + 1);
  std::vector<int64_t> dims;
  while (!sizes.empty()) {
    const auto size = ParseNumber(TakeUntil(' ', sizes));
    if (!size) return malformed;
    dims.push_back(*size);
  }
  value.whole = Shape(std::move(dims));
  value.slice = Slice::Full(value.whole->rank());
  for (int i = 0; i < value.whole->rank(); ++i) {
    std::string_view part = TakeUntil(':', parts);
    if (part == "-") continue;
    const auto start = ParseNumber(TakeUntil(',', part));
    const auto length = ParseNumber(part);
    if (!start || !length) return malformed;
    value.slice->start[i] = *start;
    value.slice->length[i] = *length;
  }
  return parts.empty() ? absl::OkStatus() : malformed;
}

VariableValue Unknown(absl::Status error) {
  VariableValue value;
  value.error = std::move(error);
  return value;
}

// One run: the nodes that it reaches, which of them change which variable, and the values
// that come of it.
class Walk {
 public:
  Walk(const GraphIndex& index, const std::map<std::string, VariableValue>& before,
       int filename)
      : index_(index), before_(before), filename_(filename) {
    for (const auto& function : index.graph().library().function()) {
      functions_.insert(function.signature().name());
    }
  }

  // The variables that change, by VariableKey.
  absl::StatusOr<std::map<std::string, VariableValue>> Run(std::vector<int> targets) {
    Reach(std::move(targets));
    RETURN_IF_ERROR(FindWriters());
    // In the order of the graph, so that what is read was written before.
    for (const int i : all_writers_) written_.emplace(i, Written(i));
    std::map<std::string, VariableValue> changed;
    for (const auto& [key, writers] : writers_) changed.emplace(key, Outcome(writers));
    return changed;
  }

 private:
  const NodeDef& node(int i) const { return index_.node(i); }
  std::string Named(int i) const {
    return fmt::format("node '{}' ({})", node(i).name(), node(i).op());
  }
  VariableValue Failed(int i, const absl::Status& status) const {
    return Unknown(Annotate(status, Named(i)));
  }

  // Marks what `targets` need; the node that is fed needs nothing.
  void Reach(std::vector<int> targets) {
    reached_.assign(index_.size(), false);
    while (!targets.empty()) {
      const int i = targets.back();
      targets.pop_back();
      if (reached_[i]) continue;
      reached_[i] = true;
      if (i == filename_) continue;
      for (const auto& source : index_.inputs(i)) targets.push_back(source.node);
    }
  }

  bool DependsOn(int later, int earlier) const {
    std::vector<bool> seen(index_.size(), false);
    std::vector<int> stack = {later};
    while (!stack.empty()) {
      const int i = stack.back();
      stack.pop_back();
      if (i == earlier) return true;
      if (seen[i]) continue;
      seen[i] = true;
      for (const auto& source : index_.inputs(i)) stack.push_back(source.node);
    }
    return false;
  }

  // Goes from node `i` to its first input while `pass` says so.
  template <typename Pass>
  int Follow(int i, const Pass& pass) const {
    for (int steps = 0; steps < index_.size() && pass(node(i)); ++steps) {
      if (i == filename_ || index_.data_inputs(i).empty()) break;
      i = index_.data_inputs(i)[0].node;
    }
    return i;
  }

  // The variable that node `i` hands on, by reference or as a handle, or kNone.
  int FindVariable(int i) const {
    const int end =
        Follow(i, [](const NodeDef& n) { return PassesOn(n) || n.op() == "Assign"; });
    return IsVariable(node(end)) ? end : GraphIndex::kNone;
  }

  void AddWriter(int variable, int writer) {
    std::vector<int>& writers = writers_[VariableKey(node(variable))];
    if (!writers.empty() && writers.back() == writer) return;
    writers.push_back(writer);
    all_writers_.push_back(writer);
  }

  absl::Status FindWriters() {
    for (const int i : index_.topological_order()) {
      if (!reached_[i] || i == filename_) continue;
      const NodeDef& n = node(i);
      if (n.op() == "Placeholder") {
        return InvalidArgument("You must feed a value for placeholder tensor '{}'",
                               n.name());
      }
      if (CallsFunction(n) || functions_.contains(n.op())) {
        return Unimplemented("{} calls a function, which is no plain assignment",
                             Named(i));
      }
      const auto inputs = index_.data_inputs(i);
      if (Assigns(n)) {
        const int variable =
            inputs.size() < 2 ? GraphIndex::kNone : FindVariable(inputs[0].node);
        if (variable == GraphIndex::kNone) {
          return InvalidArgument("{} assigns to what is no variable", Named(i));
        }
        AddWriter(variable, i);
      } else if (!IsVariable(n) && !PassesOn(n)) {
        for (const auto& source : inputs) {
          const int variable = FindVariable(source.node);
          if (variable != GraphIndex::kNone && Changes(n, node(variable))) {
            AddWriter(variable, i);
          }
        }
      }
    }
    return absl::OkStatus();
  }

  static bool Changes(const NodeDef& n, const NodeDef& variable) {
    return variable.op() == "VarHandleOp" ? !OnlyReadsHandle(n) : ChangesReference(n);
  }

  // What a writer writes.
  VariableValue Written(int i) {
    if (!Assigns(node(i))) return Failed(i, InvalidArgument("is no plain assignment"));
    return Evaluate(index_.data_inputs(i)[1], i);
  }

  // The value that `reader` gets from `source`.
  VariableValue Evaluate(GraphIndex::Source source, int reader) {
    std::optional<std::vector<int64_t>> reshaped;
    int i = source.node;
    while (true) {
      const NodeDef& n = node(i);
      const auto inputs = index_.data_inputs(i);
      if (n.op() == "Reshape" && inputs.size() == 2) {
        auto dims = Integers(inputs[1].node);
        if (!dims.ok()) return Failed(i, dims.status());
        if (!reshaped) reshaped = *std::move(dims);
      } else if (!PassesOn(n) || inputs.empty() || i == filename_) {
        break;
      }
      reader = i;
      source = inputs[0];
      i = source.node;
    }
    VariableValue value = Origin(source, reader);
    if (reshaped) value.reshaped = std::move(reshaped);
    return value;
  }

  // The same when `source` neither passes on nor reshapes what another node made.
  VariableValue Origin(const GraphIndex::Source& source, int reader) {
    const int i = source.node;
    const NodeDef& n = node(i);
    const auto inputs = index_.data_inputs(i);
    if (Restores(n)) {
      auto value = Restored(i, source.output);
      return value.ok() ? *std::move(value) : Failed(i, value.status());
    }
    if (n.op() == "Fill" && inputs.size() == 2) {
      auto value = Filled(inputs[0].node, inputs[1].node);
      return value.ok() ? *std::move(value) : Failed(i, value.status());
    }
    if (n.op() == "Const") {
      VariableValue value;
      value.constant = &n;
      return value;
    }
    // A variable by reference is read by whoever takes it for a value.
    if (IsVariable(n)) return ReadBy(reader, i);
    if (n.op() == "ReadVariableOp" && !inputs.empty()) {
      const int variable = FindVariable(inputs[0].node);
      if (variable != GraphIndex::kNone) return ReadBy(i, variable);
    }
    return Failed(i, InvalidArgument("is no constant"));
  }

  absl::StatusOr<VariableValue> Restored(int i, int output) {
    const auto inputs = index_.data_inputs(i);
    const size_t wanted = node(i).op() == "Restore" ? 2 : 3;
    if (inputs.size() != wanted) {
      return InvalidArgument("has {} inputs, want {}", inputs.size(), wanted);
    }
    if (filename_ == GraphIndex::kNone || Follow(inputs[0].node, PassesOn) != filename_) {
      return InvalidArgument("reads a file of its own, '{}'", node(i).input(0));
    }
    VariableValue value;
    ASSIGN_OR_RETURN(value.name, StringAt(inputs[1].node, output));
    if (wanted == 3) {
      ASSIGN_OR_RETURN(const std::string part, StringAt(inputs[2].node, output));
      RETURN_IF_ERROR(ParseShapeAndSlice(part, value));
    }
    return value;
  }

  absl::StatusOr<VariableValue> Filled(int dims, int scalar) const {
    VariableValue value;
    ASSIGN_OR_RETURN(std::vector<int64_t> sizes, Integers(dims));
    value.filled = Shape(std::move(sizes));
    scalar = Follow(scalar, PassesOn);
    if (node(scalar).op() != "Const") {
      return InvalidArgument("fills with what is no constant, '{}'", node(scalar).name());
    }
    value.constant = &node(scalar);
    return value;
  }

  // String `k` of the constant behind node `i`.
  absl::StatusOr<std::string> StringAt(int i, int k) {
    i = Follow(i, PassesOn);
    auto known = strings_.find(i);
    if (known == strings_.end()) {
      constexpr uint64_t kMaxBytes = uint64_t{64} << 20;
      ASSIGN_OR_RETURN(const Tensor value, ConstValue(node(i), kMaxBytes));
      if (value.dtype() != DType::kString) {
        return InvalidArgument("'{}' is {}, want string", node(i).name(),
                               DTypeName(value.dtype()));
      }
      known = strings_.emplace(i, value.strings()).first;
    }
    const std::vector<std::string>& all = known->second;
    if (k >= static_cast<int>(all.size())) {
      return InvalidArgument("'{}' has {} strings, want {}", node(i).name(), all.size(),
                             k + 1);
    }
    return all[k];
  }

  // The sizes in the constant behind node `i`.
  absl::StatusOr<std::vector<int64_t>> Integers(int i) const {
    constexpr uint64_t kMaxBytes = 254 * sizeof(int64_t);
    i = Follow(i, PassesOn);
    ASSIGN_OR_RETURN(const Tensor value, ConstValue(node(i), kMaxBytes));
    if (value.dtype() == DType::kInt64) {
      const auto sizes = value.data<int64_t>();
      return std::vector<int64_t>(sizes.begin(), sizes.end());
    }
    if (value.dtype() == DType::kInt32) {
      const auto sizes = value.data<int32_t>();
      return std::vector<int64_t>(sizes.begin(), sizes.end());
    }
    return InvalidArgument("'{}' is {}, want int32 or int64", node(i).name(),
                           DTypeName(value.dtype()));
  }

  // The variable's value as node `reader` of this run sees it.
  VariableValue ReadBy(int reader, int variable) const {
    const std::string key = VariableKey(node(variable));
    if (const auto writers = writers_.find(key); writers != writers_.end()) {
      for (auto w = writers->second.rbegin(); w != writers->second.rend(); ++w) {
        if (const auto value = written_.find(*w);
            value != written_.end() && DependsOn(reader, *w)) {
          return value->second;
        }
        if (!DependsOn(*w, reader)) {
          return Failed(reader,
                        InvalidArgument("reads '{}' before or after {} changes it",
                                        node(variable).name(), Named(*w)));
        }
      }
    }
    if (const auto old = before_.find(key); old != before_.end()) return old->second;
    return Unknown(InvalidArgument("Attempting to use uninitialized value {}",
                                   node(variable).name()));
  }

  // What the last writer of a variable wrote; they must have an order.
  VariableValue Outcome(const std::vector<int>& writers) const {
    constexpr size_t kMaxWriters = 64;
    for (size_t k = 1; k < writers.size(); ++k) {
      if (k >= kMaxWriters || !DependsOn(writers[k], writers[k - 1])) {
        return Failed(writers[k], InvalidArgument("changes it in no set order with {}",
                                                  Named(writers[k - 1])));
      }
    }
    return written_.at(writers.back());
  }

  const GraphIndex& index_;
  const std::map<std::string, VariableValue>& before_;
  const int filename_;  // the node that is fed, or kNone
  std::set<std::string_view> functions_;
  std::vector<bool> reached_;
  std::map<std::string, std::vector<int>> writers_;  // by VariableKey, in order
  std::vector<int> all_writers_;                     // in order
  std::map<int, VariableValue> written_;             // by writer
  std::map<int, std::vector<std::string>> strings_;  // of Const nodes
};

}  // namespace

bool IsVariable(const NodeDef& node) {
  return node.op() == "Variable" || node.op() == "VariableV2" ||
         node.op() == "VarHandleOp";
}

std::string VariableKey(const NodeDef& variable) {
  const auto shared = GetStringOr(variable, "shared_name", "");
  return shared.ok() && !shared->empty() ? *shared : variable.name();
}

absl::Status Assignments::Run(const std::vector<std::string>& targets,
                              std::string_view filename) {
  int fed = GraphIndex::kNone;
  if (!filename.empty()) {
    fed = index_.Find(filename);
    if (fed == GraphIndex::kNone) {
      return InvalidArgument(
          "The name '{0}:0' refers to a Tensor which does not exist. The operation, "
          "'{0}', does not exist in the graph.",
          filename);
    }
  }
  std::vector<int> nodes;
  for (const std::string& target : targets) {
    const int i = index_.Find(ParseInput(target).node);
    if (i == GraphIndex::kNone) {
      return InvalidArgument("The name '{}' refers to an Operation not in the graph.",
                             target);
    }
    nodes.push_back(i);
  }
  ASSIGN_OR_RETURN(auto changed, Walk(index_, values_, fed).Run(std::move(nodes)));
  changed.merge(values_);
  values_ = std::move(changed);
  return absl::OkStatus();
}

}  // namespace oriel::graph
