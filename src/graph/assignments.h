// What the nodes that restore and initialize a graph's variables put into them, found by
// following the nodes instead of running them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "graph/graph_index.h"
#include "tensor/slice.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

bool IsVariable(const tensorflow::NodeDef& node);  // Variable, VariableV2, VarHandleOp

// Nodes of one key are one variable: the key is shared_name, or else the node's name.
std::string VariableKey(const tensorflow::NodeDef& variable);

// Where the value of a variable is to be had: a tensor of the checkpoint, or part of it,
// or a constant of the graph.
struct VariableValue {
  absl::Status error;  // not OK: it cannot be told without running the graph

  std::string name;            // of the checkpoint's tensor; empty: a constant
  std::optional<Shape> whole;  // shape that the checkpoint's tensor must have, and
  std::optional<Slice> slice;  // what to take of it
  const tensorflow::NodeDef* constant = nullptr;  // borrowed from the graph
  std::optional<Shape> filled;                    // by `constant`, a scalar
  std::optional<std::vector<int64_t>> reshaped;   // at last; one size may be -1
};

class Assignments {
 public:
  // Borrows the index and its graph, which the values borrow from as well.
  explicit Assignments(const GraphIndex& index) : index_(index) {}

  // As if a session ran the nodes `targets` with the checkpoint's name fed to the node
  // `filename` (empty: nothing is fed). Followed are Assign and AssignVariableOp of
  // Const, Fill, the reading of another variable, RestoreV2, RestoreSlice and Restore of
  // the file that is fed, with Identity and Reshape in between. A variable that gets
  // something else, or is changed by another operation, or by two that have no order,
  // gets an `error` that names the node; other variables are not concerned.
  //
  // kInvalidArgument for targets that are not in the graph (TensorFlow's text), for a
  // placeholder that would have to be fed, for assignments to what is no variable;
  // kUnimplemented for calls of functions, which could change any variable.
  absl::Status Run(const std::vector<std::string>& targets, std::string_view filename);

  // Overrides what Run found before.
  void Set(const std::string& key, VariableValue value) {
    values_.insert_or_assign(key, std::move(value));
  }

  // By VariableKey.
  const std::map<std::string, VariableValue>& values() const { return values_; }

 private:
  const GraphIndex& index_;
  std::map<std::string, VariableValue> values_;
};

}  // namespace oriel::graph
