// The promises of plan.h: errors by name, shared weights, contexts that run at once,
// a Run that allocates nothing.

#include "engine/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "base/testing.h"
#include "engine/ops.h"
#include "engine/testing/graph_builder.h"
#include "engine/testing/run_graph.h"

namespace {

thread_local bool counting = false;
thread_local int allocations = 0;

void* AllocateNoThrow(size_t size) {
  if (counting) ++allocations;
  return std::malloc(size);
}

void* Allocate(size_t size) {
  void* memory = AllocateNoThrow(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// ThreadSanitizer (here: clang's) has an operator new of its own.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ORIEL_THREAD_SANITIZER
#endif
#endif
#ifndef ORIEL_THREAD_SANITIZER
void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return AllocateNoThrow(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return AllocateNoThrow(size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
#endif

namespace oriel::engine {
namespace {

using ::testing::AllOf;
using testing::GraphBuilder;
using ::testing::HasSubstr;

Tensor Ramp(const Shape& shape, float start, float step) {
  Tensor tensor(DType::kFloat32, shape);
  for (float& v : tensor.mutable_data<float>()) {
    v = start;
    start = start > 1 ? start - 1.9f : start + step;
  }
  return tensor;
}

// conv -> relu -> residual block -> pool -> matmul -> softmax, any batch.
GraphBuilder SmallNetwork() {
  GraphBuilder b;
  b.Placeholder("x", Shape{-1, 9, 9, 8});
  b.Const("w1", Ramp(Shape{3, 3, 8, 8}, -0.3f, 0.013f));
  b.Conv("conv1", "x", "w1", "SAME");
  b.Add("relu1", "Relu", {"conv1"});
  b.Const("w2", Ramp(Shape{1, 1, 8, 8}, -0.2f, 0.029f));
  b.Conv("conv2", "relu1", "w2", "SAME");
  b.Add("sum", "AddV2", {"relu1", "conv2"});
  b.Add("relu2", "Relu", {"sum"});
  b.Pool("pool", "relu2", "AvgPool", "VALID", 9, 9, 1, 1);
  b.Ints("flat", {-1, 8});
  b.Add("features", "Reshape", {"pool", "flat"});
  b.Const("fc", Ramp(Shape{8, 5}, -0.4f, 0.11f));
  b.Add("logits", "MatMul", {"features", "fc"});
  b.Add("predictions", "Softmax", {"logits"});
  return b;
}

PlanOptions SmallOptions(int64_t batch, Backend backend = Backend::kOneDnn) {
  PlanOptions options;
  options.backend = backend;
  options.threads = 1;
  options.inputs = {{"x", Shape{batch, 9, 9, 8}}};
  options.outputs = {"predictions", "logits"};
  return options;
}

std::string CompileError(GraphBuilder& b, std::vector<std::string> outputs,
                         std::vector<std::pair<std::string, Shape>> inputs = {}) {
  PlanOptions options;
  options.outputs = std::move(outputs);
  options.inputs = std::move(inputs);
  const auto plan = Plan::Compile(b.graph(), options);
  return plan.ok() ? "compiled" : plan.status().ToString();
}

TEST(Compile, NamesWhatIsWrong) {
  GraphBuilder b;
  b.Placeholder("x", Shape{-1, 4});
  b.Add("relu", "Relu", {"x"});
  b.Add("three", "AddV2", {"relu", "relu", "relu"});
  b.Const("odd", Tensor(DType::kFloat32, Shape{3}));
  b.Add("sum", "AddV2", {"relu", "odd"});
  b.Const("int", Tensor(DType::kInt32, Shape{4}));
  b.Add("mixed", "AddV2", {"relu", "int"});
  b.Add("dynamic", "Reshape", {"x", "int:1"});
  const std::vector<std::pair<std::string, Shape>> fed = {{"x", Shape{2, 4}}};

  EXPECT_THAT(CompileError(b, {}, fed), HasSubstr("no outputs"));
  EXPECT_THAT(CompileError(b, {"y"}, fed), HasSubstr("'y' is not in the graph"));
  EXPECT_THAT(CompileError(b, {"relu:1"}, fed), HasSubstr("output 1"));
  EXPECT_THAT(CompileError(b, {"relu"}, {{"z", Shape{1}}}),
              HasSubstr("'z' is not in the graph"));
  EXPECT_THAT(CompileError(b, {"relu"}, {{"x", Shape{2, 5}}}),
              AllOf(HasSubstr("'x'"), HasSubstr("[2,5]"), HasSubstr("[?,4]")));
  EXPECT_THAT(CompileError(b, {"relu"}, {{"x", Shape{2, 4}}, {"x:0", Shape{2, 4}}}),
              HasSubstr("given twice"));
  EXPECT_THAT(CompileError(b, {"relu"}), AllOf(HasSubstr("'x'"), HasSubstr("[?,4]")));
  EXPECT_THAT(CompileError(b, {"three"}, fed), HasSubstr("node 'three' (AddV2): has 3"));
  EXPECT_THAT(CompileError(b, {"sum"}, fed),
              AllOf(HasSubstr("node 'sum'"), HasSubstr("[2,4]"), HasSubstr("[3]")));
  EXPECT_THAT(CompileError(b, {"mixed"}, fed),
              AllOf(HasSubstr("node 'mixed'"), HasSubstr("int32")));
  EXPECT_THAT(CompileError(b, {"dynamic"}, fed), HasSubstr("node 'dynamic'"));
}

TEST(Compile, RefusesGraphsThatAreNotWellFormed) {
  GraphBuilder cycle;
  cycle.Add("a", "Relu", {"b"});
  cycle.Add("b", "Relu", {"a"});
  EXPECT_THAT(CompileError(cycle, {"b"}), HasSubstr("cycle"));
  GraphBuilder missing;
  missing.Add("a", "Relu", {"nowhere"});
  EXPECT_THAT(CompileError(missing, {"a"}), HasSubstr("a not found: nowhere"));
}

// All at once: unknown operations, and known ones in forms that the engine lacks.
TEST(Compile, ListsEveryUnsupportedOperation) {
  GraphBuilder b;
  b.Placeholder("x", Shape{1, 4, 4, 3});
  b.Add("first", "Erfinv", {"x"});
  b.Add("second", "FractionalMaxPool", {"first"});
  b.Add("unneeded", "NoSuchOp", {"x"});
  EXPECT_THAT(CompileError(b, {"second"}),
              AllOf(HasSubstr("UNIMPLEMENTED"), HasSubstr("Erfinv (node 'first')"),
                    HasSubstr("FractionalMaxPool (node 'second')"),
                    ::testing::Not(HasSubstr("NoSuchOp"))));
  GraphBuilder forms;
  forms.Placeholder("x", Shape{1, 4, 4, 3});
  graph::SetString(forms.Pool("nchw", "x", "MaxPool", "SAME", 2, 2, 1, 1), "data_format",
                   "NCHW");
  forms.Add("after", "Relu", {"nchw"});
  graph::SetBool(forms.Add("bn", "FusedBatchNorm", {"x", "x", "x", "x", "x"}),
                 "is_training", true);
  forms.Add("sum", "AddV2", {"after", "bn"});
  EXPECT_THAT(CompileError(forms, {"sum"}),
              AllOf(HasSubstr("UNIMPLEMENTED"), HasSubstr("'nchw'"), HasSubstr("NHWC"),
                    HasSubstr("'bn'"), HasSubstr("is_training")));
}

TEST(Compile, LeavesOutWhatTheOutputsDoNotNeed) {
  GraphBuilder b = SmallNetwork();
  b.Add("training", "NoSuchOp", {"x"});
  b.Add("barrier", "NoOp", {"^training"});
  for (tensorflow::NodeDef& node : *b.graph().mutable_node()) {
    if (node.name() == "relu1") node.add_input("^barrier");
  }
  PlanOptions options = SmallOptions(1);
  options.outputs = {"relu1"};
  ASSERT_OK_AND_ASSIGN(const auto plan, Plan::Compile(b.graph(), options));
  EXPECT_EQ(plan->stats().nodes, 3);  // conv1, w1, relu1: the placeholder is fed
}

// A few bytes that stand for gigabytes.
TEST(Compile, RefusesHugeConstantsOfOneValue) {
  GraphBuilder b;
  tensorflow::NodeDef& node = b.Add("huge", "Const", {});
  tensorflow::TensorProto& value = *(*node.mutable_attr())["value"].mutable_tensor();
  value.set_dtype(tensorflow::DT_FLOAT);
  value.mutable_tensor_shape()->add_dim()->set_size(int64_t{1} << 28);
  value.add_float_val(1);
  b.Add("relu", "Relu", {"huge"});
  EXPECT_THAT(CompileError(b, {"relu"}), HasSubstr("node 'huge'"));
}

// A node in the middle is fed: what lies before it need not even be supported.
TEST(Compile, FeedsAnyNode) {
  GraphBuilder b;
  b.Add("unknown", "NoSuchOp", {});
  b.Add("relu", "Relu", {"unknown:1"});
  const Tensor fed = Tensor::Of<float>(Shape{3}, std::vector<float>{-1, 0, 2});
  ASSERT_OK_AND_ASSIGN(
      const auto results,
      testing::RunGraph(b.graph(), {{"unknown:1", fed}}, {.outputs = {"relu"}}));
  EXPECT_THAT(results[0].data<float>(), ::testing::ElementsAre(0, 0, 2));
}

TEST(Compile, FusesUnlessFetched) {
  GraphBuilder b = SmallNetwork();
  ASSERT_OK_AND_ASSIGN(const auto fused, Plan::Compile(b.graph(), SmallOptions(1)));
  PlanOptions options = SmallOptions(1);
  options.outputs = {"predictions", "conv1", "sum"};
  ASSERT_OK_AND_ASSIGN(const auto fetched, Plan::Compile(b.graph(), options));
  EXPECT_LT(fused->stats().steps, fetched->stats().steps);
  EXPECT_LT(fused->stats().arena_bytes, fused->stats().activation_bytes);
}

TEST(Compile, SharesWeightsBetweenPlans) {
  GraphBuilder b = SmallNetwork();
  const auto store = NewWeightStore();
  PlanOptions options = SmallOptions(1);
  options.weights = store;
  ASSERT_OK_AND_ASSIGN(const auto one, Plan::Compile(b.graph(), options));
  options.inputs[0].second = Shape{4, 9, 9, 8};
  ASSERT_OK_AND_ASSIGN(const auto four, Plan::Compile(b.graph(), options));
  options.weights = nullptr;
  ASSERT_OK_AND_ASSIGN(const auto alone, Plan::Compile(b.graph(), options));
  const Tensor x = Ramp(Shape{4, 9, 9, 8}, -1, 0.017f);
  ASSERT_OK_AND_ASSIGN(const auto shared, testing::RunPlan(*four, {x}));
  ASSERT_OK_AND_ASSIGN(const auto own, testing::RunPlan(*alone, {x}));
  EXPECT_EQ(AsStringView(shared[1].bytes()), AsStringView(own[1].bytes()));
}

class Backends : public ::testing::TestWithParam<Backend> {};

TEST_P(Backends, BatchIsItsImages) {
  GraphBuilder b = SmallNetwork();
  const Tensor images = Ramp(Shape{3, 9, 9, 8}, -1, 0.017f);
  ASSERT_OK_AND_ASSIGN(const auto batch,
                       Plan::Compile(b.graph(), SmallOptions(3, GetParam())));
  ASSERT_OK_AND_ASSIGN(const auto together, testing::RunPlan(*batch, {images}));
  ASSERT_OK_AND_ASSIGN(const auto single,
                       Plan::Compile(b.graph(), SmallOptions(1, GetParam())));
  constexpr size_t kImage = 9 * 9 * 8;
  for (size_t n = 0; n < 3; ++n) {
    const Tensor image = Tensor::Of<float>(
        Shape{1, 9, 9, 8}, images.data<float>().subspan(n * kImage, kImage));
    ASSERT_OK_AND_ASSIGN(const auto alone, testing::RunPlan(*single, {image}));
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_NEAR(alone[0].data<float>()[i], together[0].data<float>()[n * 5 + i], 1e-6);
    }
  }
}

TEST_P(Backends, RunChecksItsTensors) {
  GraphBuilder b = SmallNetwork();
  ASSERT_OK_AND_ASSIGN(const auto plan,
                       Plan::Compile(b.graph(), SmallOptions(1, GetParam())));
  EXPECT_THAT(testing::RunPlan(*plan, {}).status().ToString(), HasSubstr("0 inputs"));
  const Tensor wrong(DType::kFloat32, Shape{2, 9, 9, 8});
  EXPECT_THAT(testing::RunPlan(*plan, {wrong}).status().ToString(),
              AllOf(HasSubstr("'x'"), HasSubstr("[2,9,9,8]"), HasSubstr("[1,9,9,8]")));
  const Tensor bytes(DType::kUInt8, Shape{1, 9, 9, 8});
  EXPECT_THAT(testing::RunPlan(*plan, {bytes}).status().ToString(), HasSubstr("uint8"));
  ASSERT_OK_AND_ASSIGN(const auto other,
                       Plan::Compile(b.graph(), SmallOptions(1, GetParam())));
  const auto context = other->NewContext();
  std::vector<Tensor> outputs = {Tensor(DType::kFloat32, Shape{1, 5}),
                                 Tensor(DType::kFloat32, Shape{1, 5})};
  const std::vector<Tensor> inputs = {Tensor(DType::kFloat32, Shape{1, 9, 9, 8})};
  EXPECT_FALSE(plan->Run(*context, inputs, outputs).ok());
}

TEST_P(Backends, ContextsRunAtOnce) {
  GraphBuilder b = SmallNetwork();
  PlanOptions options = SmallOptions(2, GetParam());
  options.threads = GetParam() == Backend::kReference ? 1 : 2;
  ASSERT_OK_AND_ASSIGN(const auto plan, Plan::Compile(b.graph(), options));
  constexpr int kThreads = 4;
  std::vector<Tensor> images;
  std::vector<std::vector<Tensor>> expected;
  for (int t = 0; t < kThreads; ++t) {
    images.push_back(Ramp(Shape{2, 9, 9, 8}, -0.9f + 0.3f * t, 0.017f));
    ASSERT_OK_AND_ASSIGN(auto results, testing::RunPlan(*plan, {images[t]}));
    expected.push_back(std::move(results));
  }
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const auto context = plan->NewContext();
      const std::vector<Tensor> inputs = {images[t]};
      std::vector<Tensor> outputs = {Tensor(DType::kFloat32, Shape{2, 5}),
                                     Tensor(DType::kFloat32, Shape{2, 5})};
      for (int i = 0; i < 20; ++i) {
        const bool ok = plan->Run(*context, inputs, outputs).ok();
        for (size_t o = 0; o < outputs.size(); ++o) {
          if (!ok ||
              AsStringView(outputs[o].bytes()) != AsStringView(expected[t][o].bytes())) {
            ++wrong;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Counts what goes through operator new on this thread. The reference plan is ours
// alone and is at zero. oneDNN makes a map of the arguments of each primitive that it
// executes; nothing beside that is allocated.
TEST_P(Backends, RunAllocatesNothingOfOurs) {
#ifdef ORIEL_THREAD_SANITIZER
  GTEST_SKIP() << "allocations cannot be counted under ThreadSanitizer";
#endif
  GraphBuilder b = SmallNetwork();
  ASSERT_OK_AND_ASSIGN(const auto plan,
                       Plan::Compile(b.graph(), SmallOptions(1, GetParam())));
  const auto context = plan->NewContext();
  const std::vector<Tensor> inputs = {Ramp(Shape{1, 9, 9, 8}, -1, 0.017f)};
  std::vector<Tensor> outputs = {Tensor(DType::kFloat32, Shape{1, 5}),
                                 Tensor(DType::kFloat32, Shape{1, 5})};
  ASSERT_OK(plan->Run(*context, inputs, outputs));  // the library's first-time work
  allocations = 0;
  counting = true;
  const absl::Status status = plan->Run(*context, inputs, outputs);
  counting = false;
  ASSERT_OK(status);
  if (GetParam() == Backend::kReference) {
    EXPECT_EQ(allocations, 0);
  } else {
    EXPECT_LE(allocations, 16 * plan->stats().steps);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Backends,
                         ::testing::Values(Backend::kReference, Backend::kOneDnn,
                                           Backend::kNative),
                         [](const auto& info) {
                           return info.param == Backend::kReference ? "Reference"
                                  : info.param == Backend::kOneDnn  ? "OneDnn"
                                                                    : "Native";
                         });

TEST(Plan, OutputsMayRepeatAndBeInputsOrConstants) {
  GraphBuilder b;
  b.Placeholder("x", Shape{2});
  b.Const("c", Tensor::Of<float>(Shape{2}, std::vector<float>{5, 6}));
  b.Add("same", "Identity", {"x"});
  b.Add("relu", "Relu", {"x"});
  b.Ints("shape", {2, 1});
  b.Add("column", "Reshape", {"relu", "shape"});
  const Tensor x = Tensor::Of<float>(Shape{2}, std::vector<float>{-1, 3});
  for (const Backend backend :
       {Backend::kReference, Backend::kOneDnn, Backend::kNative}) {
    ASSERT_OK_AND_ASSIGN(
        const auto results,
        testing::RunGraph(b.graph(), {{"x", x}},
                          {.backend = backend,
                           .outputs = {"x", "c", "same", "relu", "column", "relu"}}));
    EXPECT_THAT(results[0].data<float>(), ::testing::ElementsAre(-1, 3));
    EXPECT_THAT(results[1].data<float>(), ::testing::ElementsAre(5, 6));
    EXPECT_THAT(results[2].data<float>(), ::testing::ElementsAre(-1, 3));
    for (const int i : {3, 4, 5}) {
      EXPECT_THAT(results[i].data<float>(), ::testing::ElementsAre(0, 3));
    }
    EXPECT_EQ(results[4].shape(), (Shape{2, 1}));
  }
}

TEST(Plan, EmptyBatchGivesEmptyResults) {
  GraphBuilder b = SmallNetwork();
  for (const Backend backend :
       {Backend::kReference, Backend::kOneDnn, Backend::kNative}) {
    ASSERT_OK_AND_ASSIGN(const auto plan,
                         Plan::Compile(b.graph(), SmallOptions(0, backend)));
    ASSERT_OK_AND_ASSIGN(
        const auto results,
        testing::RunPlan(*plan, {Tensor(DType::kFloat32, Shape{0, 9, 9, 8})}));
    EXPECT_EQ(results[0].shape(), (Shape{0, 5}));
  }
}

// Images without channels have strides as if they had one.
TEST(Plan, EmptyConstants) {
  for (const Shape& shape : {Shape{2, 3, 4, 0}, Shape{0, 3, 4, 2}, Shape{2, 0}}) {
    GraphBuilder b;
    b.Const("c", Tensor(DType::kFloat32, shape));
    b.Add("exp", "Exp", {"c"});
    for (const Backend backend :
         {Backend::kReference, Backend::kOneDnn, Backend::kNative}) {
      ASSERT_OK_AND_ASSIGN(
          const auto results,
          testing::RunGraph(b.graph(), {}, {.backend = backend, .outputs = {"exp"}}));
      EXPECT_EQ(results[0].shape(), shape);
    }
  }
}

// One node after the other, or all side by side: the time to compile grows with their
// number, not with its square (which takes minutes here).
TEST(Plan, ManyNodes) {
  constexpr int kNodes = 100000;
  GraphBuilder b;
  b.Placeholder("x", Shape{2});
  std::string last = "x";
  for (int i = 0; i < kNodes; ++i) {
    const std::string name = "n" + std::to_string(i);
    b.Add(name, i % 2 == 0 ? "Neg" : "Abs", {last});
    last = name;
  }
  tensorflow::NodeDef& wide = b.Add("wide", "ConcatV2", {});
  for (int i = 0; i < kNodes; ++i) wide.add_input("x");
  wide.add_input("axis");
  b.Const("axis", Tensor(DType::kInt32, Shape{}));
  const Tensor x = Tensor::Of<float>(Shape{2}, std::vector<float>{-3, 2});
  for (const Backend backend :
       {Backend::kReference, Backend::kOneDnn, Backend::kNative}) {
    ASSERT_OK_AND_ASSIGN(
        const auto results,
        testing::RunGraph(b.graph(), {{"x", x}},
                          {.backend = backend, .outputs = {last, "wide"}, .threads = 1}));
    EXPECT_THAT(results[0].data<float>(), ::testing::ElementsAre(3, 2));
    ASSERT_EQ(results[1].shape(), (Shape{2 * kNodes}));
    EXPECT_EQ(results[1].data<float>()[2 * kNodes - 2], -3);
    EXPECT_EQ(results[1].data<float>()[2 * kNodes - 1], 2);
  }
}

TEST(Plan, PlaceholderWithDefault) {
  GraphBuilder b;
  b.Const("c", Tensor::Of<float>(Shape{2}, std::vector<float>{-5, 6}));
  graph::SetType(b.Add("x", "PlaceholderWithDefault", {"c"}), "dtype", DType::kFloat32);
  b.Add("relu", "Relu", {"x"});
  ASSERT_OK_AND_ASSIGN(const auto unfed,
                       testing::RunGraph(b.graph(), {}, {.outputs = {"relu"}}));
  EXPECT_THAT(unfed[0].data<float>(), ::testing::ElementsAre(0, 6));
  const Tensor x = Tensor::Of<float>(Shape{1}, std::vector<float>{7});
  ASSERT_OK_AND_ASSIGN(const auto fed,
                       testing::RunGraph(b.graph(), {{"x", x}}, {.outputs = {"relu"}}));
  EXPECT_THAT(fed[0].data<float>(), ::testing::ElementsAre(7));
}

}  // namespace
}  // namespace oriel::engine
