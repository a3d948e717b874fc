// Every case of testdata/engine/*.pb: small graphs with TensorFlow's results.

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/testing.h"
#include "engine/plan.h"
#include "engine/testing/run_graph.h"
#include "graph/graph_util.h"

namespace oriel::engine {
namespace {

struct Case {
  std::vector<std::pair<std::string, Tensor>> inputs;
  std::vector<std::pair<std::string, Tensor>> expected;
};

struct Goldens {
  tensorflow::GraphDef graph;
  std::map<std::string, Case> cases;
};

const Goldens& LoadGoldens() {
  static const Goldens* const goldens = [] {
    auto* loaded = new Goldens;
    loaded->graph = graph::ReadGraphDef(TestData("engine/ops.pb")).value();
    loaded->graph.MergeFrom(
        graph::ReadGraphDef(TestData("engine/fused_conv.pb")).value());
    for (const tensorflow::NodeDef& node : loaded->graph.node()) {
      const std::string& name = node.name();
      const size_t slash = name.rfind('/');
      const std::string leaf = name.substr(slash + 1);
      if (node.op() != "Const" || (leaf != "value" && leaf != "expected")) continue;
      const std::string tensor = name.substr(0, slash);
      Case& c = loaded->cases[name.substr(0, name.find('/'))];
      (leaf == "value" ? c.inputs : c.expected)
          .emplace_back(tensor, graph::ConstValue(node).value());
    }
    return loaded;
  }();
  return *goldens;
}

// float32 within `of_most` of the largest number and `of_each` of its own.
void ExpectNear(const Tensor& got, const Tensor& want, const std::string& name,
                double of_most, double of_each) {
  ASSERT_EQ(got.dtype(), want.dtype()) << name;
  ASSERT_EQ(got.shape(), want.shape()) << name;
  if (want.dtype() != DType::kFloat32) {
    EXPECT_EQ(AsStringView(got.bytes()), AsStringView(want.bytes())) << name;
    return;
  }
  float most = 1;
  for (const float w : want.data<float>()) most = std::max(most, std::abs(w));
  for (size_t i = 0; i < want.data<float>().size(); ++i) {
    const float w = want.data<float>()[i], g = got.data<float>()[i];
    ASSERT_NEAR(g, w, of_most * most + of_each * std::abs(w)) << name << " element " << i;
  }
}

TEST(Goldens, AreThere) { EXPECT_GE(LoadGoldens().cases.size(), 250); }

class EveryCase : public ::testing::TestWithParam<std::pair<Backend, ActivationLayout>> {
};

// Whether results jump where the numbers that are read hardly differ.
bool Jumps(const std::string& name) {
  for (const char* step :
       {"Ceil_", "Floor_", "FloorDiv_", "FloorMod_", "Rint_", "Round_"}) {
    if (name.starts_with(step)) return true;
  }
  return false;
}

void ExpectCases(PlanOptions options, double of_most, double of_each) {
  options.threads = 2;
  for (const auto& [name, c] : LoadGoldens().cases) {
    SCOPED_TRACE(name);
    if (options.precision == Precision::kBf16 && Jumps(name)) continue;
    options.outputs.clear();
    for (const auto& [tensor, value] : c.expected) options.outputs.push_back(tensor);
    const auto results =
        engine::testing::RunGraph(LoadGoldens().graph, c.inputs, options);
    ASSERT_TRUE(results.ok()) << results.status().ToString();
    for (size_t i = 0; i < results->size(); ++i) {
      ExpectNear((*results)[i], c.expected[i].second, c.expected[i].first, of_most,
                 of_each);
    }
  }
}

// Sums of another order differ by units of the largest terms.
TEST_P(EveryCase, EqualsTensorFlow) {
  ExpectCases({.backend = GetParam().first, .layout = GetParam().second}, 1e-6, 4e-6);
}

// What is read and what is stored is rounded by 2^-8 at most, and sums have smaller
// results than terms.
TEST_P(EveryCase, IsNearTensorFlowInBf16) {
  ExpectCases({.backend = GetParam().first,
               .precision = Precision::kBf16,
               .layout = GetParam().second},
              0x1p-7, 0x1p-7);
}

INSTANTIATE_TEST_SUITE_P(
    Backends, EveryCase,
    ::testing::Values(std::pair(Backend::kReference, ActivationLayout::kAuto),
                      std::pair(Backend::kOneDnn, ActivationLayout::kBlocked),
                      std::pair(Backend::kOneDnn, ActivationLayout::kChannelsLast),
                      std::pair(Backend::kNative, ActivationLayout::kAuto)),
    [](const auto& info) {
      if (info.param.first == Backend::kReference) return "Reference";
      if (info.param.first == Backend::kNative) return "Native";
      return info.param.second == ActivationLayout::kBlocked ? "OneDnnBlocked"
                                                             : "OneDnnChannelsLast";
    });

}  // namespace
}  // namespace oriel::engine
