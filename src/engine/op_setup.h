// What a shape rule sees of a node, and how it says what comes out.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/constant_source.h"
#include "engine/ir.h"
#include "graph/graph_util.h"

namespace oriel::engine {

class OpSetup {
 public:
  // Borrows `node` and `ir` for its life; `inputs` are in the order of the node's.
  // `constants` may be null.
  OpSetup(const tensorflow::NodeDef& node, const Ir& ir, std::vector<ValueId> inputs,
          std::shared_ptr<const ConstantSource> constants)
      : node_(node),
        ir_(ir),
        inputs_(std::move(inputs)),
        constants_(std::move(constants)) {}

  const tensorflow::NodeDef& node() const { return node_; }

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  const Shape& shape(int input) const { return ir_.values[inputs_[input]].shape; }
  DType dtype(int input) const { return ir_.values[inputs_[input]].dtype; }

  absl::Status WantInputs(int count) const;
  absl::Status WantInputs(int least, int most) const;
  absl::Status WantRank(int input, int rank, std::string_view what) const;
  // kUnimplemented for other types than float32.
  absl::Status WantFloat(int input) const;
  absl::Status WantSameType(int a, int b) const;

  // The value of an input that has to be known when the graph is compiled:
  // int32 or int64 numbers of any shape. kInvalidArgument when it is not.
  absl::StatusOr<std::vector<int64_t>> Integers(int input, std::string_view what) const;
  // As above, one number.
  absl::StatusOr<int64_t> Integer(int input, std::string_view what) const;
  bool IsConstant(int input) const {
    return ir_.values[inputs_[input]].constant != nullptr;
  }
  // The value of such an input.
  const Tensor& ConstantValue(int input) const {
    return ir_.values[inputs_[input]].constant->tensor();
  }

  // kInvalidArgument / kUnimplemented "node 'x' (Op): ...".
  template <typename... Args>
  absl::Status Invalid(fmt::format_string<Args...> format, Args&&... args) const {
    return Annotate(InvalidArgument(format, std::forward<Args>(args)...), where());
  }
  template <typename... Args>
  absl::Status Unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    return Annotate(Unimplemented(format, std::forward<Args>(args)...), where());
  }
  std::string where() const;

  // The attribute data_format is NHWC or missing, else kUnimplemented.
  absl::Status WantChannelsLast() const;

  // Where the values of Const nodes lie that the node itself does not have; or null.
  const std::shared_ptr<const ConstantSource>& constants() const { return constants_; }

  // Results. Each of the first four adds one output, in order.

  // A value to be computed. kInvalidArgument / kUnimplemented when it is too
  // large or of a type or rank that the engine has no kernels for.
  absl::Status AddOutput(DType dtype, Shape shape);
  // The elements of an input under another shape of as many: nothing to compute.
  absl::Status ForwardInput(int input, Shape shape);
  absl::Status ForwardInput(int input) { return ForwardInput(input, shape(input)); }
  // A value that follows from shapes alone.
  void AddConstant(Tensor value);
  // The same for one that is made when it is asked for, with this dtype and shape.
  void AddConstant(DType dtype, Shape shape, std::function<Tensor()> make);
  // The inputs that the kernel reads, by index, where they are not all.
  void KeepInputs(std::vector<int> kept);

  template <typename T>
  void SetAttrs(T attrs) {
    attrs_ = std::make_shared<const T>(std::move(attrs));
  }

  struct Output {
    DType dtype;
    Shape shape;
    int forwarded = -1;  // input that it is
    std::optional<Tensor> constant;
    std::function<Tensor()> make;  // a constant too, where it is not null
    bool is_constant() const { return constant || make; }
  };
  const std::vector<Output>& outputs() const { return outputs_; }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::optional<std::vector<int>>& kept() const { return kept_; }
  const std::shared_ptr<const OpAttrs>& attrs() const { return attrs_; }

 private:
  const tensorflow::NodeDef& node_;
  const Ir& ir_;
  std::vector<ValueId> inputs_;
  std::shared_ptr<const ConstantSource> constants_;
  std::vector<Output> outputs_;
  std::optional<std::vector<int>> kept_;
  std::shared_ptr<const OpAttrs> attrs_;
};

// The dtype is one that kernels move around (numbers and bool, no strings).
bool IsPlainType(DType dtype);

}  // namespace oriel::engine
