// The values that the variables of a graph have after it is restored from a checkpoint
// and initialized, as TensorFlow's freeze_graph would find them in its session.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "graph/assignments.h"
#include "tensor/variable_source.h"
#include "tensorflow/checkpoint.pb.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// How values come into the variables.
struct Restoring {
  // Its restore op is followed, in which the names in the checkpoint stand. Without it
  // variables are found by their own names.
  std::optional<tensorflow::SaverDef> saver;
  // Nodes to run then; what they assign goes before the checkpoint.
  std::vector<std::string> initializer_nodes;
  // Of one constant; more is an error when it is read.
  uint64_t max_constant_bytes = uint64_t{2} << 30;
};

// Named as the graph's nodes are. Values are read one by one, when they are asked for.
// Thread-safe if the checkpoint is.
class GraphVariables final : public VariableSource {
 public:
  // Borrows the graph. `checkpoint` may be null when there is none.
  //
  // By name, a variable is the checkpoint's tensor of the node's name, or of a
  // VarHandleOp's shared_name, or if the node is a part ("w/part_1") of a partitioned
  // variable, its slice of the tensor "w": parts divide it along one dimension in the
  // order of their numbers.
  //
  // kInvalidArgument: what GraphIndex and Assignments refuse; by name, TensorFlow's texts
  // where no variable of the graph is in the checkpoint, or the graph has none. A
  // variable whose value cannot be told is an error when it is read, which names the node
  // at fault.
  static absl::StatusOr<std::unique_ptr<const GraphVariables>> Create(
      const tensorflow::GraphDef& graph, std::shared_ptr<const VariableSource> checkpoint,
      const Restoring& restoring);

  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override;
  std::string_view format() const override;

 private:
  GraphVariables(std::shared_ptr<const VariableSource> checkpoint,
                 uint64_t max_constant_bytes)
      : checkpoint_(std::move(checkpoint)), max_constant_bytes_(max_constant_bytes) {}

  const std::shared_ptr<const VariableSource> checkpoint_;
  const uint64_t max_constant_bytes_;
  std::vector<VariableInfo> infos_;  // dtype and shape as far as the graph says
  std::map<std::string, VariableValue, std::less<>> values_;  // by node name
};

}  // namespace oriel::graph
