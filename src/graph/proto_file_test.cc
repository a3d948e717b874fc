#include "graph/proto_file.h"

#include <gmock/gmock.h>

#include "base/testing.h"
#include "graph/saved_model.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {
namespace {

using tensorflow::GraphDef;
using tensorflow::SavedModel;
using ::testing::HasSubstr;

std::string TextError(const std::string& text) {
  GraphDef graph;
  const absl::Status status = ParseMessage(AsBytes(text), "g.pbtxt", true, graph);
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kDataLoss);
  return std::string(Message(status));
}

TEST(ParseMessage, TextErrorsHaveFileAndLine) {
  EXPECT_EQ(TextError("node { name: 'a'\n op: 'b'\n}\nversions { producer: 3 }"), "");
  EXPECT_EQ(TextError("node {\n  name: 'a'\n  foo: 3\n}"),
            "g.pbtxt: is not a text GraphDef: line 3, column 6: Message type "
            "\"tensorflow.NodeDef\" has no field named \"foo\".");
  EXPECT_THAT(TextError("node {\n name: 'a\n}"), HasSubstr("line 2, column"));
  EXPECT_THAT(TextError("node {\n name: 7\n}"), HasSubstr("line 2, column 8"));
  EXPECT_THAT(TextError("node {"), HasSubstr("line 1, column 7"));
  EXPECT_THAT(TextError("\x08\x01\x02"), HasSubstr("(the file looks binary)"));
}

TEST(ParseMessage, SkipsOnlyWhatIsOpaque) {
  EXPECT_EQ(
      TextError("version: 3 node { name: 'a' experimental_type { type_id: TFT_PRODUCT "
                "args { type_id: TFT_TENSOR } } }"),
      "");
  EXPECT_THAT(TextError("debug_info { files: 'a' } versions { nothing: 3 }"),
              HasSubstr("\"tensorflow.VersionDef\" has no field named \"nothing\""));
}

TEST(ParseMessage, BoundsNesting) {
  const auto nested = [](int depth, std::string open, std::string close) {
    std::string text = "debug_info ";
    for (int i = 0; i < depth; ++i) text += open;
    text += "{ b: 1 } ";
    for (int i = 0; i < depth; ++i) text += close;
    return TextError(text);
  };
  EXPECT_EQ(nested(20, "{ a ", "}"), "");
  EXPECT_THAT(nested(100'000, "{ a ", "}"), HasSubstr("line 1: messages are nested too"));
  EXPECT_THAT(nested(100'000, "< a \n", ">"), HasSubstr("nested too deeply"));
  EXPECT_THAT(TextError("\n\n" + std::string(1000, '{')), HasSubstr("line 3"));
  // Not in strings and comments.
  EXPECT_EQ(TextError("node { name: '" + std::string(1000, '{') + "\\'{' } # " +
                      std::string(1000, '[')),
            "");
  std::string bytes;
  for (int i = 0; i < 150; ++i) {  // func { attr { value { func ... around each other
    std::string outer = bytes;
    for (const char tag : {'\x12', '\x12', '\x52'}) {
      std::string length;
      for (size_t n = outer.size(); length.empty() || n > 0; n >>= 7) {
        length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
      }
      outer = tag + length + outer;
    }
    bytes = outer;
  }
  tensorflow::AttrValue value;
  EXPECT_THAT(Message(ParseMessage(AsBytes(bytes), "deep", false, value)),
              HasSubstr("deep: is not a binary AttrValue (parsing stopped at byte"));
}

TEST(ParseMessage, BinaryErrorsSayWhere) {
  GraphDef graph;
  EXPECT_THAT(Message(ParseMessage(AsBytes("node { name: 'a' }"), "g.pb", false, graph)),
              HasSubstr("g.pb: is not a binary GraphDef (parsing stopped at byte"));
  EXPECT_THAT(Message(ParseMessage(AsBytes("node { name: 'a' }"), "g.pb", false, graph)),
              HasSubstr("(the file looks like text)"));
}

SavedModel TwoGraphs() {
  SavedModel model;
  for (const auto& tags : {std::vector<std::string>{"train", "serve"}, {"serve"}}) {
    auto& meta_graph = *model.add_meta_graphs();
    for (const std::string& tag : tags) meta_graph.mutable_meta_info_def()->add_tags(tag);
    meta_graph.mutable_graph_def()->add_node()->set_name(tags[0]);
  }
  return model;
}

TEST(FindMetaGraph, ByTheWholeSetOfTags) {
  ASSERT_OK_AND_ASSIGN(const auto serve, FindMetaGraph(TwoGraphs(), {"serve"}));
  EXPECT_EQ(serve.graph_def().node(0).name(), "serve");
  ASSERT_OK_AND_ASSIGN(const auto train, FindMetaGraph(TwoGraphs(), {"serve", "train"}));
  EXPECT_EQ(train.graph_def().node(0).name(), "train");
  EXPECT_EQ(
      Message(FindMetaGraph(TwoGraphs(), {"gpu"}).status()),
      "MetaGraphDef associated with tag-set gpu could not be found in the "
      "SavedModel. Please use one of the following tag-sets: ['serve,train', 'serve']");
}

TEST(InitNode, FromSignatureOrCollection) {
  tensorflow::MetaGraphDef meta_graph;
  EXPECT_EQ(InitNode(meta_graph), "");
  (*meta_graph.mutable_collection_def())["legacy_init_op"].mutable_node_list()->add_value(
      "legacy");
  EXPECT_EQ(InitNode(meta_graph), "legacy");
  (*meta_graph.mutable_collection_def())["saved_model_main_op"]
      .mutable_node_list()
      ->add_value("main");
  EXPECT_EQ(InitNode(meta_graph), "main");
  constexpr const char* kKey = "__saved_model_init_op";
  auto& outputs = *(*meta_graph.mutable_signature_def())[kKey].mutable_outputs();
  outputs[kKey].set_name("init:0");
  EXPECT_EQ(InitNode(meta_graph), "init");
}

}  // namespace
}  // namespace oriel::graph
