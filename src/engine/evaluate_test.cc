#include "engine/evaluate.h"

#include <gmock/gmock.h>

#include "graph/graph_util.h"

namespace oriel::engine {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kPlenty = 1 << 20;

tensorflow::NodeDef Node(const char* op) {
  tensorflow::NodeDef node;
  node.set_name("node");
  node.set_op(op);
  graph::SetType(node, "T", DType::kFloat32);
  return node;
}

Tensor Floats(const Shape& shape, std::vector<float> values) {
  return Tensor::Of<float>(shape, values);
}

Tensor Ints(std::vector<int32_t> values) {
  return Tensor::Of<int32_t>({static_cast<int64_t>(values.size())}, values);
}

TEST(EvaluateNode, ByAKernel) {
  const std::vector inputs = {Floats({2}, {1, 2}), Floats({2, 1}, {10, 20})};
  const auto sum = EvaluateNode(Node("AddV2"), inputs, kPlenty);
  ASSERT_TRUE(sum);
  EXPECT_EQ((*sum)[0].shape(), (Shape{2, 2}));
  EXPECT_THAT((*sum)[0].data<float>(), ElementsAre(11, 12, 21, 22));
}

TEST(EvaluateNode, ByShapesAlone) {
  const std::vector inputs = {Floats({2, 3}, {1, 2, 3, 4, 5, 6}), Ints({3, 2})};
  const auto reshaped = EvaluateNode(Node("Reshape"), inputs, kPlenty);
  ASSERT_TRUE(reshaped);
  EXPECT_EQ((*reshaped)[0].shape(), (Shape{3, 2}));
  const auto shape = EvaluateNode(Node("Shape"), std::span(inputs).first(1), kPlenty);
  ASSERT_TRUE(shape);
  EXPECT_THAT((*shape)[0].data<int32_t>(), ElementsAre(2, 3));
}

TEST(EvaluateNode, SeveralOutputs) {
  tensorflow::NodeDef split = Node("Split");
  graph::SetInt(split, "num_split", 2);
  const std::vector inputs = {Tensor::Of<int32_t>({}, std::vector{1}),
                              Floats({1, 4}, {1, 2, 3, 4})};
  const auto parts = EvaluateNode(split, inputs, kPlenty);
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 2);
  EXPECT_THAT((*parts)[1].data<float>(), ElementsAre(3, 4));
}

TEST(EvaluateNode, NotWhatItCannot) {
  const std::vector inputs = {Floats({2}, {1, 2}), Floats({3}, {1, 2, 3})};
  EXPECT_FALSE(EvaluateNode(Node("AddV2"), inputs, kPlenty));  // shapes do not fit
  EXPECT_FALSE(EvaluateNode(Node("Brew"), inputs, kPlenty));
  EXPECT_FALSE(EvaluateNode(Node("AddV2"), std::span(inputs).first(1), kPlenty));
  EXPECT_FALSE(EvaluateNode(Node("AddV2"), {}, kPlenty));
  const std::vector strings = {Tensor(DType::kString, {1})};
  EXPECT_FALSE(EvaluateNode(Node("Identity"), strings, kPlenty));
  // A convolution is Run's work.
  tensorflow::NodeDef conv = Node("Conv2D");
  graph::SetString(conv, "padding", "SAME");
  graph::SetInts(conv, "strides", std::vector<int64_t>{1, 1, 1, 1});
  const std::vector images = {Floats({1, 1, 1, 1}, {1}), Floats({1, 1, 1, 1}, {1})};
  EXPECT_FALSE(EvaluateNode(conv, images, kPlenty));
}

TEST(EvaluateNode, NotWhatIsTooLarge) {
  const std::vector inputs = {Ints({1000, 1000}), Floats({}, {1})};
  EXPECT_FALSE(EvaluateNode(Node("Fill"), inputs, 1000 * 1000 * 4 - 1));
  EXPECT_TRUE(EvaluateNode(Node("Fill"), inputs, 1000 * 1000 * 4));
}

}  // namespace
}  // namespace oriel::engine
