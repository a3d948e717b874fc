#include "graph/passes/bool_placeholders.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::NodeDef;

bool ParseBool(const std::string& text,
               const std::function<void(const std::string&)>& warn) {
  if (text == "True" || text == "true") return true;
  if (text != "False" && text != "false" && warn) {
    warn(fmt::format(
        "Wrong string values. Supports False/false or True/true only. val_str = {}",
        text));
  }
  return false;
}

NodeDef MakeBool(const NodeDef& placeholder, bool value) {
  NodeDef node;
  node.set_name(placeholder.name());
  node.set_op("Const");
  SetType(node, "dtype", DType::kBool);
  SetTensor(node, "value", Tensor::Of<bool>({}, std::array{value}));
  return node;
}

}  // namespace

BoolEntries ParseBoolEntries(const std::vector<std::string>& entries) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  BoolEntries result = {{"keras_learning_phase", "False"}};
  for (const std::string& entry : entries) {
    const size_t equals = entry.find('=');
    if (equals == entry.npos) continue;
    std::string key = entry.substr(0, equals);
    key.erase(0, std::min(key.find_first_not_of(kBlanks), key.size()));
    key.erase(key.find_last_not_of(kBlanks) + 1);
    std::string value = entry.substr(equals + 1);
    value = value.substr(0, value.find('='));
    const auto known = std::find_if(result.begin(), result.end(),
                                    [&](const auto& pair) { return pair.first == key; });
    if (known == result.end()) {
      result.emplace_back(std::move(key), std::move(value));
    } else {
      known->second = std::move(value);
    }
  }
  return result;
}

int ConvertBoolPlaceholders(tensorflow::GraphDef& graph, const BoolEntries& entries,
                            const std::function<void(const std::string&)>& warn) {
  int converted = 0;
  for (NodeDef& node : *graph.mutable_node()) {
    if (node.op() != "Placeholder" && node.op() != "PlaceholderWithDefault") continue;
    const auto match =
        std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
          return node.name().find(entry.first) != std::string::npos;
        });
    if (match == entries.end()) continue;
    const auto type = (*node.mutable_attr())["dtype"].type();
    if (type == tensorflow::DT_BOOL) {
      NodeDef constant = MakeBool(node, ParseBool(match->second, warn));
      node.Swap(&constant);
      ++converted;
    } else if (warn) {
      warn(fmt::format(
          "Not converting to Const. Currently only bool PlaceholderWithDefault "
          "or Placeholder can be converted to const. current dtype = {} "
          "(node '{}')",
          tensorflow::DataType_Name(type), node.name()));
    }
  }
  return converted;
}

absl::Status InputsNotFound(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const std::string& name : names) quoted.push_back(fmt::format("'{}'", name));
  return InvalidArgument("The following input nodes were not found: {{{}}}.",
                         fmt::join(quoted, ", "));
}

}  // namespace oriel::graph
