// Inception-ResNet-v2, from the builder through checkpoint, freezing, optimizing and
// both engines, against TensorFlow's logits, predictions and end points.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/digest.h"
#include "base/files.h"
#include "base/testing.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/testing/checkpoint_writer.h"
#include "checkpoint/testing/expected_tensors.h"
#include "checkpoint/testing/golden_formula.h"
#include "engine/kernels/isa.h"
#include "engine/testing/run_graph.h"
#include "graph/freeze.h"
#include "graph/graph_util.h"
#include "graph/optimize.h"
#include "nets/nets.h"
#include "preprocessing/preprocess.h"
#include "tensor/npy.h"
#include "tensor/tensor_proto.h"

namespace oriel {
namespace {

using engine::Backend;
using engine::PlanOptions;

enum class Checkpoint { kInMemory, kV1, kV2 };

struct GoldenCase {
  const char* tag;
  Checkpoint checkpoint;
};

std::filesystem::path Golden(const std::string& name) {
  return TestData("golden/" + name);
}

// The variables of a graph by the formula.
std::vector<VariableInfo> VariablesOf(const tensorflow::GraphDef& graph) {
  std::vector<VariableInfo> variables;
  for (const tensorflow::NodeDef& node : graph.node()) {
    if (node.op() != "VariableV2") continue;
    Shape shape = ShapeFromProto(node.attr().at("shape").shape()).value();
    variables.push_back({node.name(), graph::GetType(node, "dtype").value(), shape});
  }
  return variables;
}

// The same variables read back from a checkpoint file where the case wants one.
absl::StatusOr<std::shared_ptr<const VariableSource>> OpenVariables(
    const tensorflow::GraphDef& graph, Checkpoint kind,
    const TemporaryDirectory& directory) {
  auto variables = checkpoint::GoldenVariables(VariablesOf(graph));
  const std::filesystem::path path = directory.path() / "model.ckpt";
  if (kind == Checkpoint::kV1) {
    RETURN_IF_ERROR(checkpoint::WriteTensorFlowV1(path, *variables));
    return checkpoint::Open(path);
  }
  if (kind == Checkpoint::kV2) {
    RETURN_IF_ERROR(checkpoint::WriteTensorFlowV2(path, *variables));
    return checkpoint::Open(path);
  }
  return variables;
}

// `images` one after the other as one batch.
Tensor Batch(const std::vector<Tensor>& images) {
  Shape shape = images[0].shape();
  shape.set_dim(0, static_cast<int64_t>(images.size()));
  Tensor batch(DType::kFloat32, shape);
  size_t offset = 0;
  for (const Tensor& image : images) {
    std::memcpy(batch.mutable_bytes().data() + offset, image.bytes().data(),
                image.bytes().size());
    offset += image.bytes().size();
  }
  return batch;
}

std::string Sha256(const Tensor& tensor) {
  return HexDigest(DigestKind::kSha256, tensor.bytes());
}

// Everything of one tag: the network, its graphs and what TensorFlow made of it.
class GoldenNetwork {
 public:
  explicit GoldenNetwork(const GoldenCase& golden) : tag_(golden.tag) {
    manifest_ = checkpoint::ReadJson(Golden(tag_ + "_manifest.json"));
    endpoints_ = checkpoint::ReadJson(Golden(tag_ + "_endpoints.json"));
    nets::NetworkOptions options;
    options.num_classes = static_cast<int>(manifest_.at("num_classes").as_int64());
    options.image_size = size();
    options.create_aux_logits = manifest_.at("create_aux_logits").as_bool();
    network_ = nets::BuildNetwork("inception_resnet_v2", options).value();
    const auto variables =
        OpenVariables(network_.graph, golden.checkpoint, directory_).value();
    graph::FreezeOptions freeze;
    freeze.output_node_names = {network_.predictions};
    if (network_.aux_logits) freeze.output_node_names.push_back(*network_.aux_logits);
    frozen_ = graph::FreezeGraph(network_.graph, *variables, freeze).value();
    graph::OptimizeOptions optimize;
    optimize.input_names = {network_.input};
    optimize.output_names = freeze.output_node_names;
    optimized_ = graph::OptimizeForInference(frozen_, optimize).value();
    LoadInputs();
  }

  int size() const { return static_cast<int>(manifest_.at("size").as_int64()); }
  const nets::Network& network() const { return network_; }
  const tensorflow::GraphDef& frozen() const { return frozen_; }
  const tensorflow::GraphDef& optimized() const { return optimized_; }
  const std::vector<Tensor>& inputs() const { return inputs_; }
  const boost::json::value& manifest() const { return manifest_; }
  const boost::json::value& endpoints() const { return endpoints_; }

  Tensor Expected(const std::string& what) const {
    return ReadNpy(Golden(tag_ + "_" + what + ".npy")).value();
  }

  // The node of an end point, or of a residual block, which goes by its own name.
  std::string NodeOf(const std::string& end_point) const {
    for (const auto& [name, node] : network_.end_points) {
      if (name == end_point) return node;
    }
    return end_point;
  }

 private:
  void LoadInputs() {
    inputs_ = {checkpoint::SynthInput(0, size()), checkpoint::SynthInput(1, size()),
               checkpoint::SynthSmooth(0, size())};
    if (const char* folder = std::getenv("ORIEL_PHOTOS")) {
      for (const auto& [name, digest] : manifest_.at("photo_sha256").as_object()) {
        LoadPhoto(std::filesystem::path(folder) / std::string(name));
      }
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      EXPECT_EQ(Sha256(inputs_[i]), manifest_.at("input_sha256").at(i).as_string())
          << manifest_.at("inputs").at(i).as_string();
    }
  }

  void LoadPhoto(const std::filesystem::path& path) {
    const auto file = MappedFile::Open(path).value();
    const auto image = image::Decode(file->bytes(), {}).value();
    Tensor input(DType::kFloat32, Shape{1, size(), size(), 3});
    ASSERT_OK(preprocessing::PreprocessForEval(image, {.height = size(), .width = size()},
                                               input.mutable_data<float>()));
    inputs_.push_back(std::move(input));
  }

  std::string tag_;
  TemporaryDirectory directory_;
  boost::json::value manifest_;
  boost::json::value endpoints_;
  nets::Network network_;
  tensorflow::GraphDef frozen_;
  tensorflow::GraphDef optimized_;
  std::vector<Tensor> inputs_;
};

struct Difference {
  double most = 0;  // |got - want| - relative * |want|
  double rms = 0;
};

// Compares the first rows of `want` with all of `got`.
Difference Compare(const Tensor& got, const Tensor& want, double relative) {
  Difference difference;
  const auto g = got.data<float>(), w = want.data<float>();
  double squares = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    const double d = std::abs(static_cast<double>(g[i]) - w[i]);
    squares += d * d;
    difference.most = std::max(difference.most, d - relative * std::abs(w[i]));
  }
  difference.rms = std::sqrt(squares / static_cast<double>(g.size()));
  return difference;
}

void ExpectLogits(const Tensor& got, const Tensor& want) {
  const Difference difference = Compare(got, want, 1e-4);
  EXPECT_LE(difference.most, 1e-3);
  EXPECT_LE(difference.rms, 2e-4);
}

// The order of the five best, where the gaps are wide enough to say.
void ExpectTop5(const Tensor& logits, const boost::json::value& manifest) {
  constexpr double kClearMargin = 2e-3;
  const int64_t classes = logits.shape().dim(1);
  for (int64_t n = 0; n < logits.shape().dim(0); ++n) {
    const auto row = logits.data<float>().subspan(n * classes, classes);
    std::vector<int> order(classes);
    for (int i = 0; i < classes; ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return row[a] > row[b]; });
    for (int k = 0; k < 5; ++k) {
      if (manifest.at("top5_margin").at(n).at(k).to_number<double>() < kClearMargin) {
        break;
      }
      EXPECT_EQ(order[k], manifest.at("top5").at(n).at(k).as_int64())
          << "input " << n << " place " << k;
    }
  }
}

// One end point of one image against what the golden file says of it.
void ExpectEndPoint(std::span<const float> got, const boost::json::value& want,
                    size_t n) {
  double sum = 0, squares = 0, most = 0, zeros = 0;
  for (const float v : got) {
    sum += v;
    squares += static_cast<double>(v) * v;
    most = std::max(most, std::abs(static_cast<double>(v)));
    zeros += v == 0 ? 1 : 0;
  }
  const auto count = static_cast<double>(got.size());
  const auto number = [&](const char* key) {
    return want.at(key).at(n).to_number<double>();
  };
  const double std = number("std");
  const double mean = sum / count;
  EXPECT_NEAR(mean, number("mean"), 1e-4 * std);
  EXPECT_NEAR(std::sqrt(std::max(squares / count - mean * mean, 0.0)), std, 1e-4 * std);
  EXPECT_NEAR(most, number("absmax"), 3e-4 * std + 1e-4 * most);
  EXPECT_NEAR(zeros / count, number("zero_fraction"), 1e-3);
  const auto& positions = want.at("pos").as_array();
  for (size_t i = 0; i < positions.size(); ++i) {
    const double w = want.at("values").at(n).at(i).to_number<double>();
    ASSERT_NEAR(got[positions[i].as_int64()], w, 3e-4 * std + 1e-4 * std::abs(w))
        << "position " << positions[i].as_int64();
  }
}

class InceptionResnetV2Golden : public ::testing::TestWithParam<GoldenCase> {
 protected:
  void SetUp() override { golden_ = std::make_unique<GoldenNetwork>(GetParam()); }

  PlanOptions Options(Backend backend) const {
    PlanOptions options;
    options.backend = backend;
    options.precision = engine::Precision::kF32Exact;
    options.threads = 1;  // tests run side by side
    return options;
  }

  // Logits, predictions and the auxiliary head of all inputs as one batch.
  void CheckOutputs(const tensorflow::GraphDef& graph, Backend backend) {
    const nets::Network& network = golden_->network();
    PlanOptions options = Options(backend);
    options.outputs = {network.logits, network.predictions};
    if (network.aux_logits) options.outputs.push_back(*network.aux_logits);
    const auto results = engine::testing::RunGraph(
        graph, {{network.input, Batch(golden_->inputs())}}, options);
    ASSERT_TRUE(results.ok()) << results.status().ToString();
    ExpectLogits((*results)[0], golden_->Expected("logits"));
    ExpectTop5((*results)[0], golden_->manifest());
    EXPECT_LE(Compare((*results)[1], golden_->Expected("predictions"), 0).most, 1e-4);
    if (network.aux_logits) ExpectLogits((*results)[2], golden_->Expected("auxlogits"));
  }

  // Every end point that the graph still has, fetched in one plan.
  void CheckEndPoints(const tensorflow::GraphDef& graph, Backend backend, size_t least) {
    PlanOptions options = Options(backend);
    std::vector<std::string> names;
    for (const auto& [name, unused] : golden_->endpoints().as_object()) {
      const std::string node = golden_->NodeOf(std::string(name));
      for (const tensorflow::NodeDef& def : graph.node()) {
        if (def.name() != node) continue;
        names.emplace_back(name);
        options.outputs.push_back(node);
      }
    }
    EXPECT_GE(names.size(), least);
    const auto results = engine::testing::RunGraph(
        graph, {{golden_->network().input, Batch(golden_->inputs())}}, options);
    ASSERT_TRUE(results.ok()) << results.status().ToString();
    for (size_t i = 0; i < names.size(); ++i) {
      const auto& want = golden_->endpoints().at(names[i]);
      const size_t images = golden_->inputs().size();
      const auto got = (*results)[i].data<float>();
      for (size_t n = 0; n < images; ++n) {
        SCOPED_TRACE(fmt::format("{} of input {}", names[i], n));
        const size_t size = got.size() / images;
        ExpectEndPoint(got.subspan(n * size, size), want, n);
      }
    }
  }

  std::unique_ptr<GoldenNetwork> golden_;
};

TEST_P(InceptionResnetV2Golden, FrozenGraph) {
  CheckOutputs(golden_->frozen(), Backend::kOneDnn);
  CheckEndPoints(golden_->frozen(), Backend::kOneDnn,
                 golden_->endpoints().as_object().size());
}

TEST_P(InceptionResnetV2Golden, OptimizedGraph) {
  CheckOutputs(golden_->optimized(), Backend::kOneDnn);
  CheckEndPoints(golden_->optimized(), Backend::kOneDnn, 50);
}

// Our own kernels by direct sums.
TEST_P(InceptionResnetV2Golden, Native) {
  CheckOutputs(golden_->frozen(), Backend::kNative);
  CheckEndPoints(golden_->frozen(), Backend::kNative,
                 golden_->endpoints().as_object().size());
  CheckOutputs(golden_->optimized(), Backend::kNative);
  CheckEndPoints(golden_->optimized(), Backend::kNative, 50);
}

// With Winograd's algorithm the logits may differ a little more, and answers may not.
TEST_P(InceptionResnetV2Golden, Winograd) {
  if (engine::MaxIsa() < engine::Isa::kAvx2) GTEST_SKIP() << "no kernels of our own";
  const nets::Network& network = golden_->network();
  PlanOptions options = Options(Backend::kNative);
  options.precision = engine::Precision::kF32;
  options.outputs = {network.logits};
  const std::vector<std::pair<std::string, Tensor>> inputs = {
      {network.input, Batch(golden_->inputs())}};
  options.inputs = {{network.input, inputs[0].second.shape()}};
  const auto plan = engine::Plan::Compile(golden_->optimized(), options);
  ASSERT_TRUE(plan.ok()) << plan.status().ToString();
  const auto& steps = (*plan)->steps();
  EXPECT_TRUE(std::any_of(steps.begin(), steps.end(), [](const auto& step) {
    return step.implementation.starts_with("winograd");
  }));
  const auto results = engine::testing::RunPlan(**plan, {inputs[0].second});
  ASSERT_TRUE(results.ok()) << results.status().ToString();
  const Tensor want = golden_->Expected("logits");
  const Tensor& got = (*results)[0];
  const auto values = want.data<float>().first(got.data<float>().size());
  double sum = 0, squares = 0;
  for (const float v : values) {
    sum += v;
    squares += double{v} * v;
  }
  const auto count = static_cast<double>(values.size());
  const double deviation = std::sqrt(squares / count - sum / count * (sum / count));
  const Difference difference = Compare(got, want, 0);
  EXPECT_LE(difference.rms, 5e-4 * deviation);
  EXPECT_LE(difference.most, 5e-3 * deviation);
  RecordProperty("rms", fmt::format("{:.2e}", difference.rms / deviation));
  RecordProperty("most", fmt::format("{:.2e}", difference.most / deviation));
  ExpectTop5(got, golden_->manifest());
}

TEST_P(InceptionResnetV2Golden, Reference) {
  if (std::string_view(GetParam().tag) != "s139_c11") {
    GTEST_SKIP() << "plain loops: the small one is enough";
  }
  CheckOutputs(golden_->frozen(), Backend::kReference);
  CheckEndPoints(golden_->frozen(), Backend::kReference,
                 golden_->endpoints().as_object().size());
  CheckOutputs(golden_->optimized(), Backend::kReference);
}

// Alone and in a batch, in both layouts, each image gives the same.
TEST_P(InceptionResnetV2Golden, BatchesAndLayouts) {
  const nets::Network& network = golden_->network();
  PlanOptions options = Options(Backend::kOneDnn);
  options.outputs = {network.logits};
  options.weights = engine::NewWeightStore();
  const Tensor expected = golden_->Expected("logits");
  for (const auto layout :
       {engine::ActivationLayout::kBlocked, engine::ActivationLayout::kChannelsLast}) {
    options.layout = layout;
    for (size_t n = 0; n < 2; ++n) {
      const auto results = engine::testing::RunGraph(
          golden_->optimized(), {{network.input, golden_->inputs()[n]}}, options);
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      const int64_t classes = expected.shape().dim(1);
      const Tensor want = Tensor::Of(
          Shape{1, classes}, expected.data<float>().subspan(n * classes, classes));
      // The bound on the root mean square is for many logits.
      EXPECT_LE(Compare((*results)[0], want, 1e-4).most, 1e-3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, InceptionResnetV2Golden,
                         ::testing::Values(GoldenCase{"full299", Checkpoint::kV1},
                                           GoldenCase{"s139", Checkpoint::kV2},
                                           GoldenCase{"s139_c11", Checkpoint::kInMemory},
                                           GoldenCase{"s299_c11", Checkpoint::kInMemory}),
                         [](const auto& info) { return std::string(info.param.tag); });

}  // namespace
}  // namespace oriel
