#include "nets/nets.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "base/testing.h"
#include "graph/graph_util.h"
#include "graph/validate.h"
#include "tensor/tensor_proto.h"

namespace oriel::nets {
namespace {

using tensorflow::GraphDef;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// Name and shape of each variable, in order.
std::vector<VariableInfo> Variables(const GraphDef& graph) {
  std::vector<VariableInfo> variables;
  for (const auto& node : graph.node()) {
    if (node.op() != "VariableV2") continue;
    const auto shape = ShapeFromProto(node.attr().at("shape").shape());
    variables.push_back({node.name(), DType::kFloat32, *shape});
  }
  return variables;
}

bool IsSaver(const tensorflow::NodeDef& node) { return node.name().starts_with("save/"); }

TEST(InceptionResnetV2, IsTheGraphThatSlimBuilds) {
  ASSERT_OK_AND_ASSIGN(const Network network, BuildNetwork("inception_resnet_v2"));
  EXPECT_OK(graph::ValidateGraph(network.graph));
  std::vector<std::string> variables, nodes;
  for (const VariableInfo& v : Variables(network.graph)) {
    variables.push_back(
        fmt::format("{}\tfloat32\t{}", v.name, fmt::join(v.shape.dims(), ",")));
  }
  std::vector<std::string> want = Lines(TestData("checkpoint/variables_full299.txt"));
  want.erase(want.begin());  // global_step
  EXPECT_EQ(variables, want);

  for (const auto& node : network.graph.node()) {
    // Softmax of the auxiliary logits is Oriel's own.
    if (node.op() == "VariableV2" || node.name().ends_with("/read") || IsSaver(node) ||
        node.name() == network.aux_predictions) {
      continue;
    }
    nodes.push_back(
        fmt::format("{}\t{}\t{}", node.name(), node.op(), fmt::join(node.input(), ",")));
  }
  EXPECT_EQ(nodes, Lines(TestData("nets/inception_resnet_v2_nodes.txt")));

  EXPECT_EQ(network.input, "input");
  EXPECT_EQ(network.logits, "InceptionResnetV2/Logits/Logits/BiasAdd");
  EXPECT_EQ(network.predictions, "InceptionResnetV2/Logits/Predictions");
  EXPECT_EQ(network.aux_logits, "InceptionResnetV2/AuxLogits/Logits/BiasAdd");
  EXPECT_EQ(network.features, "InceptionResnetV2/InceptionResnetV2/Conv2d_7b_1x1/Relu");
  EXPECT_EQ(network.height, 299);
  EXPECT_EQ(network.num_classes, 1001);
  EXPECT_EQ(network.class_offset, 1);
  EXPECT_EQ(network.preprocessing, "inception");
  EXPECT_EQ(network.end_points.size(), 17);
}

TEST(InceptionResnetV2, Options) {
  NetworkOptions options;
  options.num_classes = 11;
  options.create_aux_logits = false;
  options.image_size = 139;
  options.batch_size = 4;
  options.saver = false;
  ASSERT_OK_AND_ASSIGN(const Network small, BuildNetwork("inception_resnet_v2", options));
  EXPECT_OK(graph::ValidateGraph(small.graph));
  EXPECT_EQ(small.class_offset, 0);
  EXPECT_FALSE(small.aux_logits.has_value());
  EXPECT_EQ(Variables(small.graph).size(), 898);
  EXPECT_EQ(Variables(small.graph).back().shape, (Shape{11}));
  EXPECT_TRUE(
      std::none_of(small.graph.node().begin(), small.graph.node().end(), IsSaver));
  EXPECT_EQ(small.graph.node(0).attr().at("shape").shape().dim(0).size(), 4);

  options.final_endpoint = "Mixed_6a";
  ASSERT_OK_AND_ASSIGN(const Network part, BuildNetwork("inception_resnet_v2", options));
  EXPECT_EQ(part.features, "InceptionResnetV2/InceptionResnetV2/Mixed_6a/concat");
  EXPECT_EQ(part.logits, "");
  EXPECT_EQ(part.end_points.back().first, "Mixed_6a");

  const auto error = [](const NetworkOptions& o,
                        const char* name = "inception_resnet_v2") {
    return std::string(Message(BuildNetwork(name, o).status()));
  };
  EXPECT_THAT(error({.final_endpoint = "Mixed_9z"}),
              HasSubstr("final_endpoint (Mixed_9z) not recognized"));
  EXPECT_THAT(error({.output_stride = 32}), HasSubstr("output_stride must be 8 or 16."));
  EXPECT_THAT(error({.output_stride = 8}),
              HasSubstr("output_stride == 8 is only supported up to the PreAuxlogits"));
  EXPECT_THAT(error({.image_size = 40}), HasSubstr("the image is too small"));
  EXPECT_THAT(error({.image_size = -1}), HasSubstr("image size -1"));
  EXPECT_THAT(error({.num_classes = -3}), HasSubstr("-3 classes"));
  EXPECT_THAT(error({.batch_size = 0}), HasSubstr("batch size 0"));
  EXPECT_THAT(error({.output_stride = 8}, "efficientnet_lite0"),
              HasSubstr("has no output_stride"));
  EXPECT_THAT(error({.image_size = 31}, "efficientnet_lite0"),
              HasSubstr("the image is too small: 31x31, want at least 32x32"));
  EXPECT_THAT(
      error({}, "vgg_16"),
      HasSubstr("there is no network 'vgg_16'; the networks are inception_resnet"));
}

// A checkpoint of given shapes. Values count up from the name's length, in quarters,
// so that they are exact; gammas are powers of two of both signs.
class FakeCheckpoint final : public VariableSource {
 public:
  explicit FakeCheckpoint(const std::map<std::string, Shape>& shapes) {
    for (const auto& [name, shape] : shapes) {
      infos_.push_back({name, DType::kFloat32, shape});
    }
  }
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const VariableInfo* const info = Find(name);
    if (info == nullptr) return NotFound("no tensor '{}'", name);
    Tensor tensor(info->dtype, info->shape);
    int64_t i = static_cast<int64_t>(name.size());
    const bool gamma = name.ends_with("bn.weight");
    for (float& value : tensor.mutable_data<float>()) {
      value = gamma ? (i % 2 == 0 ? -2.0f : 0.5f) : static_cast<float>(i % 4096) * 0.25f;
      ++i;
    }
    return tensor;
  }
  std::string_view format() const override { return "fake"; }

 private:
  std::vector<VariableInfo> infos_;
};

void ExpectVariablesOf(const VariableSource& adapted, const GraphDef& graph) {
  for (const VariableInfo& want : Variables(graph)) {
    const VariableInfo* const have = adapted.Find(want.name);
    ASSERT_NE(have, nullptr) << want.name;
    EXPECT_EQ(have->shape, want.shape) << want.name;
  }
  EXPECT_EQ(adapted.variables().size(), Variables(graph).size());
}

// timm's and Cadene's modules by slim's scopes, as their sources list them.
std::map<std::string, std::string> InceptionModules() {
  std::map<std::string, std::string> modules = {
      {"Conv2d_1a_3x3", "conv2d_1a"},
      {"Conv2d_2a_3x3", "conv2d_2a"},
      {"Conv2d_2b_3x3", "conv2d_2b"},
      {"Conv2d_3b_1x1", "conv2d_3b"},
      {"Conv2d_4a_3x3", "conv2d_4a"},
      {"Conv2d_7b_1x1", "conv2d_7b"},
      {"Mixed_5b/Branch_0/Conv2d_1x1", "mixed_5b.branch0"},
      {"Mixed_5b/Branch_1/Conv2d_0a_1x1", "mixed_5b.branch1.0"},
      {"Mixed_5b/Branch_1/Conv2d_0b_5x5", "mixed_5b.branch1.1"},
      {"Mixed_5b/Branch_2/Conv2d_0a_1x1", "mixed_5b.branch2.0"},
      {"Mixed_5b/Branch_2/Conv2d_0b_3x3", "mixed_5b.branch2.1"},
      {"Mixed_5b/Branch_2/Conv2d_0c_3x3", "mixed_5b.branch2.2"},
      {"Mixed_5b/Branch_3/Conv2d_0b_1x1", "mixed_5b.branch3.1"},
      {"Mixed_6a/Branch_0/Conv2d_1a_3x3", "mixed_6a.branch0"},
      {"Mixed_6a/Branch_1/Conv2d_0a_1x1", "mixed_6a.branch1.0"},
      {"Mixed_6a/Branch_1/Conv2d_0b_3x3", "mixed_6a.branch1.1"},
      {"Mixed_6a/Branch_1/Conv2d_1a_3x3", "mixed_6a.branch1.2"},
      {"Mixed_7a/Branch_0/Conv2d_0a_1x1", "mixed_7a.branch0.0"},
      {"Mixed_7a/Branch_0/Conv2d_1a_3x3", "mixed_7a.branch0.1"},
      {"Mixed_7a/Branch_1/Conv2d_0a_1x1", "mixed_7a.branch1.0"},
      {"Mixed_7a/Branch_1/Conv2d_1a_3x3", "mixed_7a.branch1.1"},
      {"Mixed_7a/Branch_2/Conv2d_0a_1x1", "mixed_7a.branch2.0"},
      {"Mixed_7a/Branch_2/Conv2d_0b_3x3", "mixed_7a.branch2.1"},
      {"Mixed_7a/Branch_2/Conv2d_1a_3x3", "mixed_7a.branch2.2"},
  };
  const auto block = [&](const std::string& scope, const std::string& module,
                         const std::vector<std::vector<const char*>>& branches) {
    modules[scope + "/Conv2d_1x1"] = module + ".conv2d";
    for (size_t b = 0; b < branches.size(); ++b) {
      for (size_t k = 0; k < branches[b].size(); ++k) {
        std::string to = fmt::format("{}.branch{}", module, b);
        if (branches[b].size() > 1) to += fmt::format(".{}", k);
        modules[fmt::format("{}/Branch_{}/{}", scope, b, branches[b][k])] = to;
      }
    }
  };
  for (int i = 0; i < 10; ++i) {
    block(fmt::format("Repeat/block35_{}", i + 1), fmt::format("repeat.{}", i),
          {{"Conv2d_1x1"},
           {"Conv2d_0a_1x1", "Conv2d_0b_3x3"},
           {"Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3"}});
  }
  for (int i = 0; i < 20; ++i) {
    block(fmt::format("Repeat_1/block17_{}", i + 1), fmt::format("repeat_1.{}", i),
          {{"Conv2d_1x1"}, {"Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1"}});
  }
  const std::vector<std::vector<const char*>> block8 = {
      {"Conv2d_1x1"}, {"Conv2d_0a_1x1", "Conv2d_0b_1x3", "Conv2d_0c_3x1"}};
  for (int i = 0; i < 9; ++i) {
    block(fmt::format("Repeat_2/block8_{}", i + 1), fmt::format("repeat_2.{}", i),
          block8);
  }
  block("Block8", "block8", block8);
  return modules;
}

TEST(AdaptCheckpoint, InceptionFromPyTorch) {
  NetworkOptions options;
  options.create_aux_logits = false;
  options.num_classes = 1000;
  ASSERT_OK_AND_ASSIGN(const Network network,
                       BuildNetwork("inception_resnet_v2", options));
  const auto modules = InceptionModules();
  for (const char* classifier : {"last_linear", "classif"}) {
    std::map<std::string, Shape> torch;
    for (const VariableInfo& v : Variables(network.graph)) {
      const std::string scope = v.name.substr(v.name.find('/') + 1);
      if (!scope.ends_with("/weights")) continue;
      const std::string layer = scope.substr(0, scope.rfind('/'));
      if (layer == "Logits/Logits") {
        torch[std::string(classifier) + ".weight"] = {1000, 1536};
        torch[std::string(classifier) + ".bias"] = {1000};
        continue;
      }
      ASSERT_TRUE(modules.contains(layer)) << layer;
      const std::string& module = modules.at(layer);
      const Shape oihw = {v.shape.dim(3), v.shape.dim(2), v.shape.dim(0), v.shape.dim(1)};
      const Shape channels = {v.shape.dim(3)};
      if (module.ends_with(".conv2d")) {
        torch[module + ".weight"] = oihw;
        torch[module + ".bias"] = channels;
        continue;
      }
      torch[module + ".conv.weight"] = oihw;
      for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
        torch[module + ".bn." + name] = channels;
      }
      torch[module + ".bn.num_batches_tracked"] = {};
    }
    const auto base = std::make_shared<FakeCheckpoint>(torch);
    ASSERT_OK_AND_ASSIGN(const auto adapted,
                         AdaptCheckpoint("inception_resnet_v2", base));
    ExpectVariablesOf(*adapted, network.graph);
    ASSERT_OK_AND_ASSIGN(const int classes,
                         CheckpointClasses("inception_resnet_v2", *adapted));
    EXPECT_EQ(classes, 1000);

    // A kernel of 1 high by 7 wide, so that no two dimensions are alike.
    const std::string scope =
        "InceptionResnetV2/Repeat_1/block17_3/Branch_1/Conv2d_0b_1x7";
    const std::string module = "repeat_1.2.branch1.1";
    ASSERT_OK_AND_ASSIGN(const Tensor weights, adapted->Read(scope + "/weights"));
    ASSERT_OK_AND_ASSIGN(const Tensor oihw, base->Read(module + ".conv.weight"));
    ASSERT_OK_AND_ASSIGN(const Tensor gamma, base->Read(module + ".bn.weight"));
    ASSERT_EQ(weights.shape(), (Shape{1, 7, 128, 160}));
    for (int x = 0; x < 7; ++x) {
      for (int i = 0; i < 128; i += 5) {
        for (int o = 0; o < 160; o += 3) {
          EXPECT_EQ(weights.data<float>()[(x * 128 + i) * 160 + o],
                    oihw.data<float>()[(o * 128 + i) * 7 + x] * gamma.data<float>()[o]);
        }
      }
    }
    // The function is the same: slim's batch norm of the adapted values is PyTorch's.
    const auto read = [](const VariableSource& source, const std::string& name) {
      return source.Read(name)->data<float>()[4];
    };
    const double product = 37.5;  // of weights and inputs
    const double g = gamma.data<float>()[4];
    const std::string norm = scope + "/BatchNorm/";
    const double torch_y =
        (product - read(*base, module + ".bn.running_mean")) /
            std::sqrt(read(*base, module + ".bn.running_var") + 0.001) * g +
        read(*base, module + ".bn.bias");
    const double slim_y =
        (product * g - read(*adapted, norm + "moving_mean")) /
            std::sqrt(read(*adapted, norm + "moving_variance") + 0.001) +
        read(*adapted, norm + "beta");
    EXPECT_DOUBLE_EQ(slim_y, torch_y);

    torch.erase(module + ".bn.weight");
    const auto error =
        AdaptCheckpoint("inception_resnet_v2", std::make_shared<FakeCheckpoint>(torch));
    EXPECT_EQ(error.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(Message(error.status()), HasSubstr("'repeat_1.2.branch1.1.bn.weight'"));
  }
}

std::map<std::string, Shape> EfficientNetLite0StateDict() {
  std::map<std::string, Shape> shapes;
  for (const std::string& line :
       Lines(TestData("nets/efficientnet_lite0_state_dict.txt"))) {
    std::istringstream text(line);
    std::string name, dtype, number;
    std::getline(text, name, '\t');
    std::getline(text, dtype, '\t');
    text.ignore(1);  // [
    std::vector<int64_t> dims;
    while (std::getline(text, number, ',')) {
      if (number != "]") dims.push_back(std::stoll(number));
    }
    shapes[name] = Shape(dims);
  }
  return shapes;
}

TEST(AdaptCheckpoint, EfficientNetFromPyTorch) {
  ASSERT_OK_AND_ASSIGN(const Network network, BuildNetwork("efficientnet_lite0"));
  EXPECT_OK(graph::ValidateGraph(network.graph));
  const auto shapes = EfficientNetLite0StateDict();
  EXPECT_EQ(shapes.size(), 296);
  const auto base = std::make_shared<FakeCheckpoint>(shapes);
  ASSERT_OK_AND_ASSIGN(const auto adapted, AdaptCheckpoint("efficientnet_lite0", base));
  ExpectVariablesOf(*adapted, network.graph);

  ASSERT_OK_AND_ASSIGN(const Tensor kernel,
                       adapted->Read("efficientnet-lite0/blocks_3/depthwise_conv2d/"
                                     "depthwise_kernel"));
  ASSERT_OK_AND_ASSIGN(const Tensor torch,
                       base->Read("_blocks.3._depthwise_conv.weight"));
  ASSERT_EQ(kernel.shape(), (Shape{5, 5, 144, 1}));
  EXPECT_EQ(kernel.data<float>()[(2 * 5 + 4) * 144 + 7],
            torch.data<float>()[7 * 25 + 2 * 5 + 4]);
  ASSERT_OK_AND_ASSIGN(const Tensor dense,
                       adapted->Read("efficientnet-lite0/head/dense/kernel"));
  ASSERT_OK_AND_ASSIGN(const Tensor fc, base->Read("_fc.weight"));
  EXPECT_EQ(dense.data<float>()[5 * 1000 + 9], fc.data<float>()[9 * 1280 + 5]);

  // A block's wrong width is seen when the graph is frozen; another network is not
  // adapted at all.
  EXPECT_FALSE(AdaptCheckpoint("inception_resnet_v2", base).ok());
  EXPECT_FALSE(AdaptCheckpoint("resnet", base).ok());
  EXPECT_FALSE(CheckpointClasses("efficientnet_lite0", *base).ok());
}

TEST(AdaptCheckpoint, EfficientNetFromTimm) {
  // The same tensors under timm's names: blocks by stage and repeat.
  constexpr int kRepeats[] = {1, 2, 2, 3, 3, 4, 1};
  std::map<std::string, std::string> prefixes = {{"_conv_stem", "conv_stem"},
                                                 {"_bn0", "bn1"},
                                                 {"_conv_head", "conv_head"},
                                                 {"_bn1", "bn2"},
                                                 {"_fc", "classifier"}};
  int number = 0;
  for (int stage = 0; stage < 7; ++stage) {
    for (int r = 0; r < kRepeats[stage]; ++r, ++number) {
      const std::string from = fmt::format("_blocks.{}.", number);
      const std::string to = fmt::format("blocks.{}.{}.", stage, r);
      const bool first = stage == 0;
      prefixes[from + "_expand_conv"] = to + "conv_pw";
      prefixes[from + "_bn0"] = to + "bn1";
      prefixes[from + "_depthwise_conv"] = to + "conv_dw";
      prefixes[from + "_bn1"] = to + (first ? "bn1" : "bn2");
      prefixes[from + "_project_conv"] = to + (first ? "conv_pw" : "conv_pwl");
      prefixes[from + "_bn2"] = to + (first ? "bn2" : "bn3");
    }
  }
  std::map<std::string, Shape> timm;
  for (const auto& [name, shape] : EfficientNetLite0StateDict()) {
    const size_t dot = name.rfind('.');
    timm[prefixes.at(name.substr(0, dot)) + name.substr(dot)] = shape;
  }
  ASSERT_OK_AND_ASSIGN(const Network network, BuildNetwork("efficientnet_lite0"));
  ASSERT_OK_AND_ASSIGN(
      const auto adapted,
      AdaptCheckpoint("efficientnet_lite0", std::make_shared<FakeCheckpoint>(timm)));
  ExpectVariablesOf(*adapted, network.graph);
}

TEST(AdaptCheckpoint, TensorFlowPassesThroughWithAverages) {
  ASSERT_OK_AND_ASSIGN(const Network network, BuildNetwork("efficientnet_lite1"));
  std::map<std::string, Shape> shapes;
  for (const VariableInfo& v : Variables(network.graph)) shapes[v.name] = v.shape;
  auto base = std::make_shared<FakeCheckpoint>(shapes);
  ASSERT_OK_AND_ASSIGN(auto adapted, AdaptCheckpoint("efficientnet_lite1", base));
  EXPECT_EQ(adapted, base);

  const std::string bias = "efficientnet-lite1/head/dense/bias";
  const std::string average = bias + "/ExponentialMovingAverage";
  shapes[average] = {1000};
  base = std::make_shared<FakeCheckpoint>(shapes);
  ASSERT_OK_AND_ASSIGN(adapted, AdaptCheckpoint("efficientnet_lite1", base));
  ExpectVariablesOf(*adapted, network.graph);
  EXPECT_EQ(adapted->Read(bias)->data<float>()[0], base->Read(average)->data<float>()[0]);
}

TEST(EfficientNetLite, GrowsWithItsVersion) {
  // Trainable parameters, as the table of the TPU models' README has them.
  const std::map<std::string, std::pair<int, double>> want = {
      {"efficientnet_lite0", {224, 4.7}},
      {"efficientnet_lite1", {240, 5.4}},
      {"efficientnet_lite2", {260, 6.1}},
  };
  for (const auto& [name, size_and_millions] : want) {
    ASSERT_OK_AND_ASSIGN(const Network network, BuildNetwork(name));
    EXPECT_OK(graph::ValidateGraph(network.graph));
    EXPECT_EQ(network.height, size_and_millions.first);
    EXPECT_EQ(network.num_classes, 1000);
    EXPECT_EQ(network.class_offset, 0);
    int64_t parameters = 0;
    for (const VariableInfo& v : Variables(network.graph)) {
      if (v.name.find("/moving_") == v.name.npos) parameters += v.shape.elements();
    }
    EXPECT_NEAR(parameters / 1e6, size_and_millions.second, 0.051) << name;
  }
}

}  // namespace
}  // namespace oriel::nets
