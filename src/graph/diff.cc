#include "graph/diff.h"

#include <map>
#include <string_view>
#include <unordered_map>

#include "base/utf8.h"
#include "graph/graph_util.h"

namespace oriel::graph {
namespace {

using tensorflow::AttrValue;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

std::string Normalized(const std::string& input) {
  const InputRef ref = ParseInput(input);
  return ref.control ? input : FormatInput(ref.node, ref.output);
}

// What fits in a line for people.
std::string TextOf(const AttrValue& value) {
  constexpr size_t kLongest = 60;
  return Ellipsize(Printable(value.ShortDebugString()), kLongest);
}

// What `a` and `b` differ in as constants; nullopt when one has no tensor that we read.
std::optional<std::string> ValueDifference(const NodeDef& a, const NodeDef& b,
                                           const Tolerance& tolerance) {
  const auto x = ConstValue(a), y = ConstValue(b);
  if (!x.ok() || !y.ok()) return std::nullopt;
  const TensorDifference d = CompareTensors(*x, *y, tolerance);
  if (!d.mismatch.empty()) return fmt::format("value {}", d.mismatch);
  if (d.within_tolerance()) return "";
  return fmt::format("value differs by {:.3g} at most, {} of {} elements", d.largest,
                     d.outside, x->elements());
}

class Comparer {
 public:
  Comparer(const Tolerance& tolerance, std::vector<NodeDifference>& found)
      : tolerance_(tolerance), found_(found) {}

  void Compare(const NodeDef& a, const NodeDef& b) {
    if (a.op() != b.op()) Add(a, fmt::format("op {}, {}", a.op(), b.op()));
    CompareInputs(a, b);
    CompareAttributes(a, b);
  }

 private:
  void Add(const NodeDef& node, std::string what) {
    found_.push_back({node.name(), std::move(what)});
  }

  void CompareInputs(const NodeDef& a, const NodeDef& b) {
    if (a.input_size() != b.input_size()) {
      Add(a, fmt::format("{} inputs, {}", a.input_size(), b.input_size()));
      return;
    }
    for (int i = 0; i < a.input_size(); ++i) {
      const std::string x = Normalized(a.input(i)), y = Normalized(b.input(i));
      if (x != y) Add(a, fmt::format("input {} {}, {}", i, x, y));
    }
  }

  void CompareAttributes(const NodeDef& a, const NodeDef& b) {
    std::map<std::string_view, std::pair<const AttrValue*, const AttrValue*>> attributes;
    for (const auto& [name, value] : a.attr()) attributes[name].first = &value;
    for (const auto& [name, value] : b.attr()) attributes[name].second = &value;
    for (const auto& [name, values] : attributes) {
      if (name.starts_with('_')) continue;
      const auto [x, y] = values;
      if (x == nullptr || y == nullptr) {
        Add(a, fmt::format("attr {} {}, {}", name, x != nullptr ? TextOf(*x) : "missing",
                           y != nullptr ? TextOf(*y) : "missing"));
      } else if (x->SerializeAsString() != y->SerializeAsString()) {
        CompareAttribute(a, b, name, *x, *y);
      }
    }
  }

  void CompareAttribute(const NodeDef& a, const NodeDef& b, std::string_view name,
                        const AttrValue& x, const AttrValue& y) {
    if (name == "value" && x.has_tensor() && y.has_tensor()) {
      // The same numbers may be written in several ways.
      if (auto difference = ValueDifference(a, b, tolerance_)) {
        if (!difference->empty()) Add(a, *std::move(difference));
        return;
      }
    }
    Add(a, fmt::format("attr {} {}, {}", name, TextOf(x), TextOf(y)));
  }

  const Tolerance& tolerance_;
  std::vector<NodeDifference>& found_;
};

}  // namespace

GraphDifference CompareGraphs(const GraphDef& a, const GraphDef& b,
                              const Tolerance& tolerance) {
  GraphDifference difference;
  std::unordered_map<std::string_view, const NodeDef*> in_b;
  for (const NodeDef& node : b.node()) in_b.emplace(node.name(), &node);
  Comparer comparer(tolerance, difference.changed);
  for (const NodeDef& node : a.node()) {
    const auto other = in_b.find(node.name());
    if (other == in_b.end() || other->second == nullptr) {
      difference.only_a.push_back(node.name());
      continue;
    }
    ++difference.in_both;
    comparer.Compare(node, *other->second);
    other->second = nullptr;  // a name that `a` has twice is in both once
  }
  for (const NodeDef& node : b.node()) {
    if (in_b.at(node.name()) != nullptr) difference.only_b.push_back(node.name());
  }
  return difference;
}

}  // namespace oriel::graph
