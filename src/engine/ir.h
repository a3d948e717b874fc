// The engine's own form of a graph: operations in running order on values whose
// shapes are all known. Made by ImportGraph, rewritten by FuseOps, read by the
// backends' lowerings.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/quantize/quantization.h"
#include "engine/unary.h"
#include "tensor/tensor.h"
#include "tensorflow/graph.pb.h"

namespace oriel::engine {

struct OpType;

// The value of a constant, made when it is first asked for. The key names the
// value for all plans of a graph: equal keys, equal values.
class Constant {
 public:
  // `tensor` may borrow from the GraphDef: constants do not outlive Compile.
  Constant(std::string key, Tensor tensor);
  Constant(std::string key, std::function<Tensor()> make);
  // The elements of another one under another shape.
  Constant(std::string key, std::shared_ptr<const Constant> of, Shape shape);

  const std::string& key() const { return key_; }
  // One thread at a time.
  const Tensor& tensor() const;
  // The same without keeping it: for a large one that is read only once.
  Tensor MakeTensor() const;

 private:
  std::string key_;
  // Reshaped, where it is not null; never itself a reshaped one, so that a long chain
  // of them is no deep recursion.
  std::shared_ptr<const Constant> of_;
  Shape shape_;
  mutable std::function<Tensor()> make_;
  mutable std::optional<Tensor> tensor_;
};

// A key for what `what` makes of constants with these keys.
std::string DerivedKey(std::string_view what, std::span<const std::string> keys);

using ValueId = int;
constexpr ValueId kNoValue = -1;

struct Value {
  std::string name;  // "node" or "node:1"
  DType dtype = DType::kFloat32;
  Shape shape;                               // all sizes known
  std::shared_ptr<const Constant> constant;  // null: computed or fed
  // As u8, for all that read it quantized; set by QuantizeOps.
  std::optional<ActivationQuantization> quantization;
  // Stored rounded to bfloat16, float32 in meaning; set by UseBf16.
  bool bf16 = false;
};

// What an operation needs besides its inputs; each family derives its own.
struct OpAttrs {
  virtual ~OpAttrs() = default;
};

// What a kernel does with each sum before it stores it:
//   dst = activation(sum + bias[channel] + residual)
struct Epilogue {
  int bias = -1;      // index into Op::inputs of a constant [channels]; -1: none
  int residual = -1;  // index into Op::inputs of a value of dst's shape; -1: none
  std::optional<UnaryFunction> activation;
};

struct Op {
  const OpType* type = nullptr;
  std::string name;  // of the node; of the last one where several are fused
  std::shared_ptr<const OpAttrs> attrs;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Epilogue epilogue;
  // Not null: sums are of integers, inputs[1] is s8. Set by QuantizeOps.
  std::shared_ptr<const Quantization> quantization;

  template <typename T>
  const T& attrs_as() const {
    return static_cast<const T&>(*attrs);
  }
};

// Of an operation that stands for several: what a backend computes in one step. Its
// inputs are all that they read and do not compute, without constants.
struct FusedAttrs : OpAttrs {
  std::vector<Op> ops;  // in running order, each with inputs and outputs of its own
};

struct Ir {
  std::vector<Value> values;
  std::vector<Op> ops;  // producers before consumers
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;  // may repeat, and may be inputs or constants
  int nodes = 0;                 // of the GraphDef, that the outputs need
  // Whose constants are borrowed, where that is not the GraphDef that was imported.
  std::shared_ptr<const tensorflow::GraphDef> graph;

  ValueId AddValue(Value value) {
    values.push_back(std::move(value));
    return static_cast<ValueId>(values.size()) - 1;
  }
  // How many times each value is read by operations or as an output.
  std::vector<int> CountUses() const;
  // Drops operations that no output needs.
  void RemoveDeadOps();
};

// Dimensions of any tensor in the engine; kernels keep indices in arrays of it.
constexpr int kMaxRank = 8;

}  // namespace oriel::engine
