// Test support: one pass on a small graph. Not part of the library.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/testing.h"
#include "graph/optimize.h"
#include "graph/testing.h"

namespace oriel::graph {

// The graph after `pass` alone, then without what the outputs do not need.
inline absl::StatusOr<tensorflow::GraphDef> RunPass(
    const char* pass, const tensorflow::GraphDef& graph,
    std::vector<std::string> outputs = {"y"}, ConstantEvaluator evaluate = nullptr) {
  return OptimizeForInference(graph, {.output_names = std::move(outputs),
                                      .evaluate = std::move(evaluate),
                                      .only = {pass, "remove_unused"}});
}

inline tensorflow::NodeDef& AddBool(tensorflow::GraphDef& graph, const std::string& name,
                                    bool value) {
  tensorflow::NodeDef& node = AddNode(graph, name, "Const");
  SetType(node, "dtype", DType::kBool);
  SetTensor(node, "value", Tensor::Of<bool>({}, std::array{value}));
  return node;
}

inline tensorflow::NodeDef& AddInts(tensorflow::GraphDef& graph, const std::string& name,
                                    const Shape& shape,
                                    const std::vector<int32_t>& values) {
  tensorflow::NodeDef& node = AddNode(graph, name, "Const");
  SetType(node, "dtype", DType::kInt32);
  SetTensor(node, "value", Tensor::Of<int32_t>(shape, values));
  return node;
}

}  // namespace oriel::graph
