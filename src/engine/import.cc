#include "engine/import.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "engine/op_setup.h"
#include "engine/ops.h"
#include "engine/unsupported.h"
#include "graph/graph_index.h"
#include "graph/graph_util.h"
#include "graph/inline_functions.h"
#include "tensor/tensor_proto.h"

namespace oriel::engine {
namespace {

using graph::GraphIndex;
using graph::InputRef;
using tensorflow::NodeDef;

// Bytes that folding may read and write in all: more is left to Run. Keeps a
// hostile graph from turning Compile into the long run that it asks for.
constexpr int64_t kFoldBytes = int64_t{1} << 30;

// What reads and writes less is folded at once: lazy ones may depend on one another,
// and there can only be as many as kFoldBytes has room for.
constexpr int64_t kLazyFoldBytes = int64_t{1} << 20;

int64_t ByteSize(const Value& value) {
  return value.shape.elements() * static_cast<int64_t>(ElementSize(value.dtype));
}

// An operation on constants, computed when the first of its results is asked for: with
// packed weights at hand it may be none.
struct LazyFold {
  Op op;
  std::vector<Value> inputs, outputs;
  std::vector<Tensor> results;

  Tensor Get(size_t output) {
    if (results.empty()) Compute();
    return results[output];
  }

  void Compute() {
    std::vector<ConstArray> in;
    for (const Value& value : inputs) {
      in.push_back({value.dtype, value.shape, value.constant->tensor().bytes().data()});
    }
    std::vector<Array> out;
    bool empty = true;
    for (const Value& value : outputs) {
      results.emplace_back(value.dtype, value.shape);
      out.push_back({value.dtype, value.shape, results.back().mutable_bytes().data()});
      empty &= out.back().elements() == 0;
    }
    if (!empty) op.type->ref(op, in, out);
    inputs.clear();
  }
};

// What operations make whose attribute T is of what they read.
constexpr std::pair<std::string_view, DType> kMade[] = {
    {"Equal", DType::kBool},
    {"Greater", DType::kBool},
    {"GreaterEqual", DType::kBool},
    {"Less", DType::kBool},
    {"LessEqual", DType::kBool},
    {"NotEqual", DType::kBool},
    {"ResizeArea", DType::kFloat32},
    {"ResizeBicubic", DType::kFloat32},
    {"ResizeBilinear", DType::kFloat32},
};

struct Endpoint {
  int node = 0;
  int output = 0;
  auto operator<=>(const Endpoint&) const = default;
};

class Importer {
 public:
  Importer(const GraphIndex& index, const PlanOptions& options)
      : index_(index), graph_(index.graph()), options_(options) {}

  absl::StatusOr<Ir> Import() {
    values_.resize(graph_.node_size());
    RETURN_IF_ERROR(AddFeeds());
    std::vector<Endpoint> wanted;
    if (options_.outputs.empty()) return InvalidArgument("no outputs are asked for");
    for (const std::string& name : options_.outputs) {
      ASSIGN_OR_RETURN(const Endpoint endpoint, Find(name, "output"));
      wanted.push_back(endpoint);
    }
    const std::vector<int> order = Order(wanted);
    ir_.nodes = static_cast<int>(order.size());
    RETURN_IF_ERROR(CheckOps(order));
    for (const int node : order) RETURN_IF_ERROR(ImportNode(node));
    if (!unsupported_.empty()) return unsupported_.Error();
    for (const Endpoint& endpoint : wanted) {
      ASSIGN_OR_RETURN(const ValueId value,
                       ValueOf(endpoint, fmt::format("output '{}'", NameOf(endpoint))));
      ir_.outputs.push_back(value);
    }
    ir_.RemoveDeadOps();
    return std::move(ir_);
  }

 private:
  const NodeDef& node(int index) const { return graph_.node(index); }

  std::string NameOf(Endpoint endpoint) const {
    return graph::FormatInput(node(endpoint.node).name(), endpoint.output);
  }

  // The tensor called `name`; `what` is its part in the plan.
  absl::StatusOr<Endpoint> Find(const std::string& name, std::string_view what) const {
    const InputRef ref = graph::ParseInput(name);
    const int node = index_.Find(ref.node);
    if (ref.control || node == GraphIndex::kNone) {
      return InvalidArgument("{} '{}' is not in the graph", what, name);
    }
    return Endpoint{node, ref.output};
  }

  // The element type of a tensor that is fed: what the node says of itself.
  absl::StatusOr<DType> FedType(Endpoint endpoint) const {
    const std::string& op = node(endpoint.node).op();
    for (const auto& [made_by, dtype] : kMade) {
      if (op == made_by) return dtype;
    }
    for (const char* attr : {"dtype", "DstT", "out_type", "T"}) {
      if (node(endpoint.node).attr().contains(attr)) {
        return graph::GetType(node(endpoint.node), attr);
      }
    }
    return DType::kFloat32;
  }

  absl::Status AddInput(Endpoint endpoint, const Shape& shape) {
    ASSIGN_OR_RETURN(const DType dtype, FedType(endpoint));
    const std::string name = NameOf(endpoint);
    if (!IsPlainType(dtype)) {
      return Unimplemented("input '{}': type {} is not supported", name,
                           DTypeName(dtype));
    }
    if (shape.rank() > kMaxRank) {
      return InvalidArgument("input '{}' has {} dimensions, the engine has at most {}",
                             name, shape.rank(), kMaxRank);
    }
    const auto elements =
        CheckedElements(shape, ElementSize(dtype), fmt::format("input '{}'", name));
    if (!elements.ok()) return elements.status();
    RETURN_IF_ERROR(CheckDeclaredShape(endpoint, shape));
    const ValueId value = ir_.AddValue({.name = name, .dtype = dtype, .shape = shape});
    if (!fed_.emplace(endpoint, value).second) {
      return InvalidArgument("input '{}' is given twice", name);
    }
    ir_.inputs.push_back(value);
    return absl::OkStatus();
  }

  absl::Status AddFeeds() {
    for (const auto& [name, shape] : options_.inputs) {
      ASSIGN_OR_RETURN(const Endpoint endpoint, Find(name, "input"));
      RETURN_IF_ERROR(AddInput(endpoint, shape));
    }
    for (const auto& [name, tensor] : options_.values) {
      ASSIGN_OR_RETURN(const Endpoint endpoint, Find(name, "value"));
      RETURN_IF_ERROR(AddKnown(endpoint, tensor));
    }
    return absl::OkStatus();
  }

  absl::Status AddKnown(Endpoint endpoint, const Tensor& tensor) {
    const std::string name = NameOf(endpoint);
    if (!IsPlainType(tensor.dtype()) || tensor.shape().rank() > kMaxRank) {
      return InvalidArgument("value '{}' is {}{}", name, DTypeName(tensor.dtype()),
                             tensor.shape().ToString());
    }
    std::string key =
        DerivedKey(name, std::vector{tensor.shape().ToString(),
                                     std::string(AsStringView(tensor.bytes()))});
    const ValueId value = ir_.AddValue(
        {.name = name,
         .dtype = tensor.dtype(),
         .shape = tensor.shape(),
         .constant = std::make_shared<const Constant>(std::move(key), tensor)});
    if (!fed_.emplace(endpoint, value).second) {
      return InvalidArgument("'{}' is given twice", name);
    }
    return absl::OkStatus();
  }

  absl::Status CheckDeclaredShape(Endpoint endpoint, const Shape& shape) const {
    ASSIGN_OR_RETURN(const auto declared,
                     graph::DeclaredShape(graph_, node(endpoint.node)));
    if (!declared) return absl::OkStatus();
    bool fits = declared->rank() == shape.rank();
    for (int i = 0; fits && i < shape.rank(); ++i) {
      fits = declared->dim(i) == -1 || declared->dim(i) == shape.dim(i);
    }
    if (fits) return absl::OkStatus();
    return InvalidArgument("input '{}' has shape {}, the graph wants {}",
                           NameOf(endpoint), shape.ToString(), declared->ToString());
  }

  // The nodes behind `wanted` that are not fed, producers first and each branch to
  // its end before the next, so that values live briefly. Control inputs have
  // nothing to say here: no operation has a side effect.
  std::vector<int> Order(const std::vector<Endpoint>& wanted) const {
    std::vector<bool> seen(graph_.node_size(), false);
    std::vector<int> order;
    struct Frame {
      int node;
      size_t next;  // input to look at
    };
    std::vector<Frame> stack;
    const auto open = [&](Endpoint endpoint) {
      if (fed_.contains(endpoint) || seen[endpoint.node]) return;
      seen[endpoint.node] = true;
      stack.push_back({endpoint.node, 0});
    };
    for (const Endpoint& endpoint : wanted) {
      open(endpoint);
      while (!stack.empty()) {
        Frame& frame = stack.back();
        const auto inputs = index_.data_inputs(frame.node);
        if (frame.next < inputs.size()) {
          const auto& source = inputs[frame.next++];
          open({source.node, source.output});
          continue;
        }
        order.push_back(frame.node);
        stack.pop_back();
      }
    }
    return order;
  }

  static bool IsPlaceholder(const NodeDef& node) { return node.op() == "Placeholder"; }

  absl::Status CheckOps(const std::vector<int>& order) {
    for (const int index : order) {
      if (!IsPlaceholder(node(index)) && FindOp(node(index).op()) == nullptr) {
        unsupported_.Add(node(index).op(), node(index).name());
      }
    }
    return unsupported_.empty() ? absl::OkStatus() : unsupported_.Error();
  }

  // kNoValue: the node has it, but cannot be run (it is in unsupported_).
  absl::StatusOr<ValueId> ValueOf(Endpoint endpoint, std::string_view who) const {
    if (const auto it = fed_.find(endpoint); it != fed_.end()) return it->second;
    const std::vector<ValueId>& values = values_[endpoint.node];
    if (static_cast<size_t>(endpoint.output) < values.size()) {
      return values[endpoint.output];
    }
    if (poisoned_.contains(endpoint.node)) return kNoValue;
    return InvalidArgument("{}: node '{}' ({}) has {} outputs here, not output {}", who,
                           node(endpoint.node).name(), node(endpoint.node).op(),
                           values.size(), endpoint.output);
  }

  absl::Status ImportPlaceholder(int index) {
    // Something reads another output of it than the one that is fed: there is none.
    if (fed_.contains({index, 0})) return absl::OkStatus();
    ASSIGN_OR_RETURN(const auto shape, graph::DeclaredShape(graph_, node(index)));
    if (!shape || !shape->fully_known()) {
      return InvalidArgument(
          "input '{}' is not fed and has no full shape: the graph says {}",
          node(index).name(), shape ? shape->ToString() : "any");
    }
    RETURN_IF_ERROR(AddInput({index, 0}, *shape));
    return absl::OkStatus();
  }

  absl::Status ImportNode(int index) {
    const NodeDef& def = node(index);
    if (IsPlaceholder(def)) return ImportPlaceholder(index);
    std::vector<ValueId> inputs;
    for (const auto& source : index_.data_inputs(index)) {
      const Endpoint endpoint{source.node, source.output};
      ASSIGN_OR_RETURN(
          const ValueId value,
          ValueOf(endpoint, fmt::format("node '{}' ({}) reads '{}'", def.name(), def.op(),
                                        NameOf(endpoint))));
      if (value == kNoValue) {
        poisoned_.insert(index);
        return absl::OkStatus();
      }
      inputs.push_back(value);
    }
    OpSetup setup(def, ir_, std::move(inputs), options_.constants);
    const OpType* type = FindOp(def.op());
    const absl::Status status = type->setup(setup);
    if (status.code() == absl::StatusCode::kUnimplemented) {
      unsupported_.Add(UnsupportedReason(status, setup), def.name());
      poisoned_.insert(index);
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(status);
    AddResults(index, *type, setup);
    return absl::OkStatus();
  }

  // What setup said of a node, without its name.
  static std::string UnsupportedReason(const absl::Status& status, const OpSetup& setup) {
    std::string_view message = Message(status);
    const std::string where = setup.where() + ": ";
    if (message.starts_with(where)) message.remove_prefix(where.size());
    return fmt::format("{}: {}", setup.node().op(), message);
  }

  // Turns what setup said into values and, where work remains, an operation.
  void AddResults(int index, const OpType& type, const OpSetup& setup) {
    std::vector<ValueId>& values = values_[index];
    Op op{.type = &type, .name = node(index).name(), .attrs = setup.attrs()};
    for (const OpSetup::Output& output : setup.outputs()) {
      const std::string name = NameOf({index, static_cast<int>(values.size())});
      if (output.forwarded >= 0) {
        values.push_back(
            Forward(index, setup.inputs()[output.forwarded], name, output.shape));
        continue;
      }
      Value value{.name = name, .dtype = output.dtype, .shape = output.shape};
      if (output.constant) value.constant = MakeConstant(type, name, *output.constant);
      if (output.make) {
        value.constant = std::make_shared<const Constant>(name, output.make);
      }
      values.push_back(ir_.AddValue(std::move(value)));
      if (!output.is_constant()) op.outputs.push_back(values.back());
    }
    if (op.outputs.empty()) return;
    if (setup.kept()) {
      for (const int i : *setup.kept()) op.inputs.push_back(setup.inputs()[i]);
    } else {
      op.inputs = setup.inputs();
    }
    if (!Fold(op)) ir_.ops.push_back(std::move(op));
  }

  // Values of Const nodes are the graph's own; those of Shape follow from the
  // shapes that are fed, so the value goes into the key.
  static std::shared_ptr<const Constant> MakeConstant(const OpType& type,
                                                      const std::string& name,
                                                      const Tensor& tensor) {
    std::string key = name;
    if (std::string_view(type.name) != "Const") {
      key = DerivedKey(name, std::vector{std::string(AsStringView(tensor.bytes()))});
    }
    return std::make_shared<const Constant>(std::move(key), tensor);
  }

  // The same elements under another name or shape.
  ValueId Forward(int index, ValueId from, const std::string& name, const Shape& shape) {
    if (ir_.values[from].shape == shape) return from;
    Value value{.name = name, .dtype = ir_.values[from].dtype, .shape = shape};
    if (const auto& constant = ir_.values[from].constant) {
      value.constant = std::make_shared<const Constant>(
          DerivedKey(name, std::vector{constant->key(), shape.ToString()}), constant,
          shape);
      return ir_.AddValue(std::move(value));
    }
    const ValueId to = ir_.AddValue(std::move(value));
    ir_.ops.push_back({.type = FindOp("Reshape"),
                       .name = node(index).name(),
                       .inputs = {from},
                       .outputs = {to}});
    return to;
  }

  // Computes an operation on constants here. False: leave it to Run.
  bool Fold(const Op& op) {
    if (!op.type->foldable) return false;
    int64_t bytes = 0;
    auto fold = std::make_shared<LazyFold>(LazyFold{.op = op});
    std::vector<std::string> keys;
    for (const ValueId id : op.inputs) {
      const Value& value = ir_.values[id];
      if (value.constant == nullptr) return false;
      fold->inputs.push_back(value);
      keys.push_back(value.constant->key());
      bytes += ByteSize(value);
    }
    for (const ValueId id : op.outputs) {
      const Value& value = ir_.values[id];
      fold->outputs.push_back(value);
      bytes += ByteSize(value);
      keys.push_back(value.shape.ToString());
    }
    if (bytes > kFoldBytes - folded_bytes_) return false;
    folded_bytes_ += bytes;
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      Value& value = ir_.values[op.outputs[i]];
      value.constant = std::make_shared<const Constant>(
          DerivedKey(value.name, keys),
          std::function<Tensor()>([fold, i] { return fold->Get(i); }));
      if (bytes < kLazyFoldBytes) value.constant->tensor();
    }
    return true;
  }

  const GraphIndex& index_;
  const tensorflow::GraphDef& graph_;
  const PlanOptions& options_;
  Ir ir_;
  std::map<Endpoint, ValueId> fed_;
  std::vector<std::vector<ValueId>> values_;  // by node and output
  std::unordered_set<int> poisoned_;          // nodes whose values cannot be had
  UnsupportedList unsupported_;
  int64_t folded_bytes_ = 0;
};

}  // namespace

absl::StatusOr<Ir> ImportGraph(const tensorflow::GraphDef& graph,
                               const PlanOptions& options) {
  if (graph.library().function().empty()) {
    ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(graph));
    return Importer(index, options).Import();
  }
  ASSIGN_OR_RETURN(tensorflow::GraphDef inlined, graph::InlineFunctions(graph));
  const auto kept = std::make_shared<const tensorflow::GraphDef>(std::move(inlined));
  ASSIGN_OR_RETURN(const GraphIndex index, GraphIndex::Create(*kept));
  ASSIGN_OR_RETURN(Ir ir, Importer(index, options).Import());
  ir.graph = kept;
  return ir;
}

}  // namespace oriel::engine
