#include "engine/dynamic_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/testing.h"
#include "engine/testing/graph_builder.h"
#include "image/decode.h"
#include "image/resize.h"

namespace oriel::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::GraphBuilder;
using ::testing::HasSubstr;

std::string ReadImage(const char* name) {
  return ReadFile(TestData(std::string("preproc/images/") + name), 1 << 20).value();
}

Tensor StringTensor(std::string bytes, Shape shape = {}) {
  Tensor tensor(DType::kString, std::move(shape));
  tensor.mutable_strings()[0] = std::move(bytes);
  return tensor;
}

// contents -> image (bytes) -> floats -> batch; `size` of 0: not resized.
void AddFront(GraphBuilder& b, const char* decode, int size) {
  b.Placeholder("contents", Shape{}, DType::kString);
  graph::SetInt(b.Add("image", decode, {"contents"}), "channels", 3);
  auto& cast = b.Add("floats", "Cast", {"image"});
  graph::SetType(cast, "SrcT", DType::kUInt8);
  graph::SetType(cast, "DstT", DType::kFloat32);
  b.Ints("zero", {0});
  graph::SetType(b.Add("batch", "ExpandDims", {"floats", "zero"}), "T", DType::kFloat32);
  if (size == 0) return;
  b.Ints("size", {size, size});
  graph::SetType(b.Add("resized", "ResizeBilinear", {"batch", "size"}), "T",
                 DType::kFloat32);
}

void AddNetwork(GraphBuilder& b, const std::string& image) {
  b.Const("filter", Tensor::Of<float>(Shape{1, 1, 3, 2},
                                      std::vector<float>{1, 0, 0, 1, 0.5f, 0.5f}));
  b.Conv("conv", image, "filter", "SAME");
  b.Ints("axes", {1, 2});
  b.Add("mean", "Mean", {"conv", "axes"});
}

absl::StatusOr<std::unique_ptr<DynamicPlan>> Create(GraphBuilder& b,
                                                    std::vector<std::string> outputs) {
  return DynamicPlan::Create(
      b.graph(),
      {.inputs = {{"contents", Shape{}}}, .outputs = std::move(outputs), .threads = 1});
}

TEST(DynamicPlan, DecodesResizesAndRunsTheNetwork) {
  GraphBuilder b;
  AddFront(b, "DecodePng", 5);
  AddNetwork(b, "resized");
  ASSERT_OK_AND_ASSIGN(const auto plan, Create(b, {"image", "resized", "mean"}));
  const std::string bytes = ReadImage("png_rgb.png");
  ASSERT_OK_AND_ASSIGN(const auto outputs, plan->Run({StringTensor(bytes)}));
  ASSERT_OK_AND_ASSIGN(const image::Image decoded, image::Decode(AsBytes(bytes), {}));
  EXPECT_EQ(outputs[0].shape(), (Shape{decoded.height, decoded.width, 3}));
  EXPECT_TRUE(std::ranges::equal(outputs[0].data<uint8_t>(), decoded.pixels));
  const std::vector<float> floats(decoded.pixels.begin(), decoded.pixels.end());
  std::vector<float> resized(5 * 5 * 3);
  ASSERT_OK(image::Resize(
      {floats.data(), decoded.height, decoded.width, 3, int64_t{decoded.width} * 3},
      image::ResizeMethod::kBilinear, image::PixelGrid::kLegacy, 5, 5, resized));
  EXPECT_THAT(outputs[1].data<float>(), ::testing::ElementsAreArray(resized));
  float red = 0, green = 0, blue = 0;
  for (size_t i = 0; i < resized.size(); i += 3) {
    red += resized[i] / 25;
    green += resized[i + 1] / 25;
    blue += resized[i + 2] / 25;
  }
  EXPECT_NEAR(outputs[2].data<float>()[0], red + blue / 2, 1e-2);
  EXPECT_NEAR(outputs[2].data<float>()[1], green + blue / 2, 1e-2);
}

TEST(DynamicPlan, CompilesOnceForEachSize) {
  GraphBuilder b;
  AddFront(b, "DecodeImage", 0);
  graph::SetBool(*b.graph().mutable_node(1), "expand_animations", false);
  AddNetwork(b, "batch");
  ASSERT_OK_AND_ASSIGN(const auto plan, Create(b, {"conv"}));
  EXPECT_EQ(plan->plan(), nullptr);
  int compiled = 0;
  for (const char* image : {"jpeg_17x16.jpg", "jpeg_8x8.jpg"}) {
    for (int run = 0; run < 2; ++run) {
      ASSERT_OK_AND_ASSIGN(const auto outputs,
                           plan->Run({StringTensor(ReadImage(image))}));
      EXPECT_EQ(outputs[0].shape().dim(0), 1);
      EXPECT_EQ(plan->plan()->outputs()[0].shape, outputs[0].shape());
    }
    EXPECT_EQ(plan->compiled(), ++compiled);
  }
  ASSERT_OK(plan->Run({StringTensor(ReadImage("jpeg_17x16.jpg"))}).status());
  EXPECT_EQ(plan->compiled(), compiled);
}

// The network reshapes by the size of the image: the plan takes it for a constant.
TEST(DynamicPlan, SizesOfTheImageReachTheNetwork) {
  GraphBuilder b;
  AddFront(b, "DecodeJpeg", 0);
  AddNetwork(b, "batch");
  graph::SetType(b.Add("shape", "Shape", {"batch"}), "out_type", DType::kInt32);
  b.Ints("one", {1});
  b.Ints("two", {2});
  b.Add("height", "StridedSlice", {"shape", "one", "two", "one"});
  b.Ints("rest", {-1});
  b.Add("lines", "ConcatV2", {"height", "rest", "zero"});
  b.Add("reshaped", "Reshape", {"conv", "lines"});
  ASSERT_OK_AND_ASSIGN(const auto plan, Create(b, {"reshaped", "lines"}));
  ASSERT_OK_AND_ASSIGN(const auto outputs,
                       plan->Run({StringTensor(ReadImage("jpeg_17x16.jpg"))}));
  EXPECT_EQ(outputs[0].shape(), (Shape{16, 17 * 2}));
  EXPECT_THAT(outputs[1].data<int32_t>(), ElementsAre(16, -1));
}

TEST(DynamicPlan, NamesWhatIsWrong) {
  GraphBuilder b;
  AddFront(b, "DecodeJpeg", 4);
  AddNetwork(b, "resized");
  const auto error = [&](const std::string& bytes) {
    const auto plan = Create(b, {"mean"});
    EXPECT_OK(plan.status());
    return std::string(Message((*plan)->Run({StringTensor(bytes)}).status()));
  };
  EXPECT_THAT(error(ReadImage("not_an_image.bin")),
              HasSubstr("node 'image' (DecodeJpeg)"));
  EXPECT_THAT(error(""), HasSubstr("node 'image' (DecodeJpeg)"));
  EXPECT_THAT(error(ReadImage("jpeg_truncated.jpg")), HasSubstr("node 'image'"));

  const auto without =
      DynamicPlan::Create(b.graph(), {.outputs = {"mean"}, .threads = 1});
  EXPECT_THAT(without.status().ToString(), HasSubstr("'contents'"));
  EXPECT_THAT(Create(b, {"nothing"}).status().ToString(), HasSubstr("'nothing'"));
  const auto plan = Create(b, {"image:1"});
  ASSERT_OK(plan.status());
  EXPECT_THAT((*plan)->Run({StringTensor(ReadImage("jpeg_8x8.jpg"))}).status().ToString(),
              HasSubstr("output 1"));

  b.Add("odd", "NoSuchOp", {"mean"});
  b.Add("odder", "NoSuchOp", {"odd"});
  b.Add("other", "Loop", {"odder"});
  EXPECT_THAT(Create(b, {"other"}).status().ToString(),
              AllOf(HasSubstr("NoSuchOp (2 nodes, 'odd' first)"),
                    HasSubstr("Loop (node 'other')")));
}

// What Plan::Compile says of such a graph: it takes numbers.
TEST(DynamicPlan, PlansDoNotDecode) {
  GraphBuilder b;
  AddFront(b, "DecodeJpeg", 4);
  const auto plan = Plan::Compile(
      b.graph(), {.inputs = {{"contents", Shape{}}}, .outputs = {"resized"}});
  EXPECT_THAT(plan.status().ToString(),
              AllOf(HasSubstr("'contents'"), HasSubstr("string")));
}

TEST(StringInputs, AndTheirShapes) {
  GraphBuilder b;
  b.Placeholder("x", Shape{2});
  b.Placeholder("one", Shape{-1}, DType::kString);
  b.Placeholder("two", Shape{2}, DType::kString);
  EXPECT_THAT(StringInputs(b.graph()), ElementsAre("one", "two"));
  EXPECT_EQ(StringInputShape(b.graph(), "one").value(), (Shape{1}));
  EXPECT_THAT(StringInputShape(b.graph(), "two").status().ToString(),
              AllOf(HasSubstr("'two'"), HasSubstr("[2]")));
}

}  // namespace
}  // namespace oriel::engine
