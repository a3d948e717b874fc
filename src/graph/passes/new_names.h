// Names for nodes that a pass adds.
#pragma once

#include <fmt/format.h>

#include <string>
#include <unordered_set>

#include "tensorflow/graph.pb.h"

namespace oriel::graph {

class NewNames {
 public:
  explicit NewNames(const tensorflow::GraphDef& graph) {
    for (const auto& node : graph.node()) taken_.insert(node.name());
  }

  // `base`, or "<base>_1" and so on where that is taken. Never gives one out twice.
  std::string Unique(const std::string& base) {
    std::string name = base;
    for (int k = 1; !taken_.insert(name).second; ++k)
      name = fmt::format("{}_{}", base, k);
    return name;
  }

 private:
  std::unordered_set<std::string> taken_;
};

}  // namespace oriel::graph
