// A checkpoint of zeros for any graph.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/graph_util.h"
#include "tensor/tensor_proto.h"
#include "tensor/variable_source.h"

namespace oriel {

// Zeros for each variable of a graph that is small enough.
class Zeros final : public VariableSource {
 public:
  explicit Zeros(const tensorflow::GraphDef& graph) {
    std::map<std::string, VariableInfo> infos;
    for (const auto& node : graph.node()) {
      const auto dtype = graph::GetType(node, "dtype");
      const auto shape = node.attr().find("shape");
      if (!dtype.ok() || shape == node.attr().end()) continue;
      const auto dims = ShapeFromProto(shape->second.shape());
      if (!dims.ok() || !CheckedElements(*dims, 8, "variable", 1 << 16).ok()) {
        continue;
      }
      infos.insert({node.name(), {node.name(), *dtype, *dims}});
    }
    for (auto& [name, info] : infos) infos_.push_back(std::move(info));
  }
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const auto* const info = Find(name);
    return Tensor(info->dtype, info->shape);
  }
  std::string_view format() const override { return "zeros"; }

 private:
  std::vector<VariableInfo> infos_;
};

}  // namespace oriel
