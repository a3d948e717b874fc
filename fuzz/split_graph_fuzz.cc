// A serialized GraphDef without the contents of its constants: with them again, it must
// be what protobuf reads of the whole.

#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>

#include <cstdlib>
#include <set>

#include "graph/graph_util.h"
#include "graph/split_graph.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kLeast = 8;
  const oriel::Bytes bytes(data, size);
  const auto whole = oriel::graph::ParseGraphDef(bytes, "fuzz");
  const auto split = oriel::graph::SplitGraphDef(bytes, "fuzz", kLeast);
  if (!split.ok()) return 0;
  auto joined = oriel::graph::ParseGraphDef(oriel::AsBytes(split->graph), "split");
  if (!whole.ok()) return 0;
  if (!joined.ok()) std::abort();
  std::set<std::string> names;
  for (const auto& node : whole->node()) {
    // Of two nodes of one name no index is made.
    if (!names.insert(node.name()).second) return 0;
  }
  for (const auto& place : split->contents) {
    if (place.offset > size || place.size > size - place.offset) std::abort();
    for (auto& node : *joined->mutable_node()) {
      if (node.name() != place.node) continue;
      (*node.mutable_attr())["value"].mutable_tensor()->set_tensor_content(
          std::string(oriel::AsStringView(bytes.subspan(place.offset, place.size))));
    }
  }
  google::protobuf::util::DefaultFieldComparator same;
  same.set_treat_nan_as_equal(true);
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_field_comparator(&same);
  if (joined->SerializeAsString().size() != whole->SerializeAsString().size() ||
      !differencer.Compare(*joined, *whole)) {
    std::abort();
  }
  return 0;
}
