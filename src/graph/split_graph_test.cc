#include "graph/split_graph.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>

#include "base/testing.h"
#include "graph/testing.h"

namespace oriel::graph {
namespace {

using google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

// Puts the contents back; protobuf's own parser and writer judge the splitting.
tensorflow::GraphDef Joined(const SplitGraph& split, std::string_view serialized) {
  auto graph = ParseGraphDef(AsBytes(split.graph), "split");
  EXPECT_OK(graph.status());
  for (const ContentPlace& place : split.contents) {
    for (auto& node : *graph->mutable_node()) {
      if (node.name() != place.node) continue;
      auto& tensor = *(*node.mutable_attr())["value"].mutable_tensor();
      EXPECT_EQ(tensor.tensor_content(), "");
      tensor.set_tensor_content(std::string(serialized.substr(place.offset, place.size)));
    }
  }
  return *std::move(graph);
}

tensorflow::GraphDef Example() {
  tensorflow::GraphDef graph;
  AddNode(graph, "x", "Placeholder");
  AddConst(graph, "large", {40}, std::vector<float>(40, 1.5f));
  AddConst(graph, "small", {2}, {1, 2});
  AddConst(graph, "scalar", {}, {7});
  SetString(AddConst(graph, "annotated", {300}, std::vector<float>(300, -2.0f)), "_note",
            "kept");
  AddNode(graph, "y", "MatMul", {"x", "large"});
  // Not a Const, though it has a tensor.
  SetTensor(AddNode(graph, "z", "Other"), "value",
            Floats({40}, std::vector<float>(40, 3.0f)));
  graph.mutable_versions()->set_producer(27);
  return graph;
}

TEST(SplitGraph, TakesOutLargeContentsAndNothingElse) {
  const tensorflow::GraphDef graph = Example();
  const std::string serialized = graph.SerializeAsString();
  ASSERT_OK_AND_ASSIGN(const SplitGraph split,
                       SplitGraphDef(AsBytes(serialized), "test", 100));
  ASSERT_EQ(split.contents.size(), 2);
  EXPECT_EQ(split.contents[0].node, "large");
  EXPECT_EQ(split.contents[0].size, 160);
  EXPECT_EQ(split.contents[1].node, "annotated");
  EXPECT_EQ(split.contents[1].size, 1200);
  EXPECT_LT(split.graph.size(), serialized.size() - 1350);
  EXPECT_TRUE(MessageDifferencer::Equals(Joined(split, serialized), graph));
}

TEST(SplitGraph, LeavesASmallGraphAsItIs) {
  const std::string serialized = Example().SerializeAsString();
  ASSERT_OK_AND_ASSIGN(const SplitGraph split,
                       SplitGraphDef(AsBytes(serialized), "test", 10000));
  EXPECT_TRUE(split.contents.empty());
  EXPECT_EQ(split.graph, serialized);
}

TEST(SplitGraph, LeavesWhatIsWrittenTwice) {
  // Protobuf merges messages that are one after the other: the last content counts.
  tensorflow::GraphDef graph;
  AddConst(graph, "c", {40}, std::vector<float>(40, 1.0f));
  tensorflow::NodeDef again;
  SetTensor(again, "value", Floats({40}, std::vector<float>(40, 2.0f)));
  std::string node = graph.node(0).SerializeAsString() + again.SerializeAsString();
  std::string serialized = {'\x0a'};
  serialized += static_cast<char>((node.size() & 0x7f) | 0x80);
  serialized += static_cast<char>(node.size() >> 7);
  serialized += node;
  ASSERT_OK_AND_ASSIGN(const SplitGraph split,
                       SplitGraphDef(AsBytes(serialized), "test", 100));
  EXPECT_TRUE(split.contents.empty());
  EXPECT_EQ(split.graph, serialized);
}

TEST(SplitGraph, EndsCleanlyAtEachByte) {
  const std::string serialized = Example().SerializeAsString();
  for (size_t size = 0; size < serialized.size(); ++size) {
    const std::string part = serialized.substr(0, size);
    const auto split = SplitGraphDef(AsBytes(part), "test", 100);
    const auto whole = ParseGraphDef(AsBytes(part), "test");
    ASSERT_EQ(split.ok(), whole.ok()) << size;
    if (!split.ok()) {
      EXPECT_THAT(std::string(Message(split.status())), HasSubstr("test: "));
      continue;
    }
    EXPECT_TRUE(MessageDifferencer::Equals(Joined(*split, part), *whole)) << size;
  }
}

TEST(SplitGraph, SaysTheSameAsProtobufOfFlippedBits) {
  const std::string serialized = Example().SerializeAsString();
  for (size_t i = 0; i < serialized.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = serialized;
      flipped[i] = static_cast<char>(flipped[i] ^ 1 << bit);
      const auto whole = ParseGraphDef(AsBytes(flipped), "test");
      const auto split = SplitGraphDef(AsBytes(flipped), "test", 100);
      if (!whole.ok() || !split.ok()) continue;
      // A node may now be called as another is: that is for others to refuse.
      const auto names = NodeNames(*whole);
      if (std::set<std::string>(names.begin(), names.end()).size() < names.size()) {
        continue;
      }
      EXPECT_TRUE(MessageDifferencer::Equals(Joined(*split, flipped), *whole))
          << i << " bit " << bit;
    }
  }
}

}  // namespace
}  // namespace oriel::graph
