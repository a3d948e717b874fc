// Maps between namings: there and back again is the same checkpoint. That the names are
// those of the other programs is tested with them (tests/tensorflow/test_checkpoints.py).
#include "nets/name_maps.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/testing.h"
#include "nets/nets.h"
#include "tensor/tensor_proto.h"

namespace oriel::nets {
namespace {

using checkpoint::MapVariables;
using checkpoint::NameMap;
using testing::HasSubstr;

// The variables of a network's graph; values count on from the length of the name.
class GraphVariables final : public VariableSource {
 public:
  static std::shared_ptr<const VariableSource> Of(std::string_view network,
                                                  int num_classes) {
    NetworkOptions options;
    options.num_classes = num_classes;
    options.saver = false;
    auto source = std::make_shared<GraphVariables>();
    const Network built = BuildNetwork(network, options).value();
    for (const auto& node : built.graph.node()) {
      if (node.op() != "VariableV2") continue;
      const Shape shape = ShapeFromProto(node.attr().at("shape").shape()).value();
      source->infos_.push_back({node.name(), DType::kFloat32, shape});
    }
    std::sort(source->infos_.begin(), source->infos_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return source;
  }
  const std::vector<VariableInfo>& variables() const override { return infos_; }
  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    Tensor tensor(DType::kFloat32, Find(name)->shape);
    int64_t i = static_cast<int64_t>(name.size());
    for (float& value : tensor.mutable_data<float>()) {
      value = static_cast<float>(i++ % 4099) * 0.25f;
    }
    return tensor;
  }
  std::string_view format() const override { return "test"; }

 private:
  std::vector<VariableInfo> infos_;
};

std::shared_ptr<const VariableSource> Mapped(std::shared_ptr<const VariableSource> source,
                                             std::string_view network,
                                             std::string_view from, std::string_view to,
                                             Background background = Background::kKeep) {
  const auto map = BuildNameMap(network, from, to, source.get(), background);
  EXPECT_OK(map.status());
  if (!map.ok()) return nullptr;
  const auto mapped = MapVariables(std::move(source), *map);
  EXPECT_OK(mapped.status());
  return mapped.ok() ? *mapped : nullptr;
}

// All names and shapes, and the values of some: of each kind, and of the classifier.
void ExpectSame(const VariableSource& got, const VariableSource& want) {
  size_t i = 0;
  for (const VariableInfo& info : want.variables()) {
    if (info.name.find("AuxLogits") != std::string::npos) continue;
    const VariableInfo* const found = got.Find(info.name);
    ASSERT_NE(found, nullptr) << info.name;
    EXPECT_EQ(found->shape, info.shape) << info.name;
    EXPECT_EQ(found->dtype, info.dtype) << info.name;
    if (i++ % 7 != 0 && info.name.find("Logits") == std::string::npos) continue;
    ASSERT_OK_AND_ASSIGN(const Tensor a, got.Read(info.name));
    ASSERT_OK_AND_ASSIGN(const Tensor b, want.Read(info.name));
    EXPECT_TRUE(AsStringView(a.bytes()) == AsStringView(b.bytes())) << info.name;
  }
  EXPECT_EQ(got.variables().size(), i);
}

TEST(NameMaps, ThereAndBackAgain) {
  for (const char* network : {"inception_resnet_v2", "efficientnet_lite0"}) {
    const auto source = GraphVariables::Of(network, 11);
    const std::vector<Naming> namings = NamingsOf(network);
    EXPECT_EQ(FindNaming(network, *source).value(), namings[0].name);
    for (const Naming& naming : namings) {
      SCOPED_TRACE(naming.name);
      const auto there = Mapped(source, network, namings[0].name, naming.name);
      ASSERT_NE(there, nullptr);
      EXPECT_EQ(FindNaming(network, *there).value(), naming.name);
      // ... by the next naming, so that each pair of neighbours is tried as well
      const std::string_view next =
          namings[(&naming - namings.data() + 1) % namings.size()].name;
      const auto on = Mapped(there, network, naming.name, next);
      ASSERT_NE(on, nullptr);
      const auto back = Mapped(on, network, next, namings[0].name);
      ASSERT_NE(back, nullptr);
      ExpectSame(*back, *source);
    }
  }
}

TEST(NameMaps, PyTorchHasMore) {
  const auto source = GraphVariables::Of("inception_resnet_v2", 1001);
  const auto timm = Mapped(source, "inception_resnet_v2", "slim", "timm");
  ASSERT_NE(timm, nullptr);
  // 204 layers with batch norm: gamma and a counter each, besides slim's 898.
  EXPECT_EQ(timm->variables().size(), 898 + 2 * 204);
  const Tensor gamma = timm->Read("repeat.0.branch1.1.bn.weight").value();
  EXPECT_THAT(gamma.data<float>(), testing::Each(1.0f));
  EXPECT_EQ(timm->Find("conv2d_7b.bn.num_batches_tracked")->dtype, DType::kInt64);
  EXPECT_EQ(timm->Find("conv2d_7b.bn.num_batches_tracked")->shape, Shape{});
  EXPECT_EQ(timm->Find("repeat_1.19.branch1.1.conv.weight")->shape,
            (Shape{160, 128, 1, 7}));
  EXPECT_EQ(timm->Find("classif.weight")->shape, (Shape{1001, 1536}));
}

TEST(NameMaps, BackgroundIsDroppedAndAdded) {
  const std::string network = "inception_resnet_v2";
  const auto source = GraphVariables::Of(network, 1001);
  const auto timm = Mapped(source, network, "slim", "timm", Background::kDrop);
  ASSERT_NE(timm, nullptr);
  EXPECT_EQ(timm->Find("classif.weight")->shape, (Shape{1000, 1536}));
  EXPECT_EQ(timm->Find("classif.bias")->shape, (Shape{1000}));
  const auto slim = Mapped(timm, network, "timm", "slim", Background::kAdd);
  ASSERT_NE(slim, nullptr);
  const std::string scope = "InceptionResnetV2/Logits/Logits/";
  const Tensor weights = slim->Read(scope + "weights").value();
  const Tensor biases = slim->Read(scope + "biases").value();
  const Tensor old_weights = source->Read(scope + "weights").value();
  const Tensor old_biases = source->Read(scope + "biases").value();
  ASSERT_EQ(weights.shape(), (Shape{1536, 1001}));
  ASSERT_EQ(biases.shape(), (Shape{1001}));
  EXPECT_EQ(biases.data<float>()[0], -100);
  for (int row = 0; row < 1536; row += 100) {
    const auto at = [&](const Tensor& t, int c) {
      return t.data<float>()[row * 1001 + c];
    };
    EXPECT_EQ(at(weights, 0), 0);
    for (const int c : {1, 2, 999, 1000}) EXPECT_EQ(at(weights, c), at(old_weights, c));
  }
  for (const int c : {1, 1000}) {
    EXPECT_EQ(biases.data<float>()[c], old_biases.data<float>()[c]);
  }
}

// `source` as the second model of a process would be saved: layers are numbered on.
std::shared_ptr<const VariableSource> Renumbered(
    std::shared_ptr<const VariableSource> source, int offset) {
  NameMap map;
  for (const VariableInfo& info : source->variables()) {
    std::string name = info.name;
    for (const std::string kind : {"conv2d", "batch_normalization"}) {
      if (!name.starts_with(kind)) continue;
      const size_t slash = name.find('/');
      const int number =
          slash == kind.size() ? 0 : std::stoi(name.substr(kind.size() + 1));
      name = fmt::format("{}_{}{}", kind, number + offset, name.substr(slash));
    }
    map.variables.push_back({.to = name, .from = info.name});
  }
  return MapVariables(std::move(source), map).value();
}

TEST(NameMaps, KerasNumbersByOrder) {
  const std::string network = "inception_resnet_v2";
  const auto source = GraphVariables::Of(network, 5);
  const auto keras = Mapped(source, network, "slim", "keras");
  for (const int offset : {1, 203}) {
    const auto other = Renumbered(keras, offset);
    EXPECT_EQ(FindNaming(network, *other).value(), "keras");
    ExpectSame(*Mapped(other, network, "keras", "slim"), *source);
    ASSERT_OK_AND_ASSIGN(const auto adapted, AdaptCheckpoint(network, other));
    ExpectSame(*adapted, *source);
    EXPECT_EQ(CheckpointClasses(network, *adapted).value(), 5);
  }
  NameMap less;
  for (const VariableInfo& info : keras->variables()) {
    if (info.name == "conv2d_7/kernel") continue;
    less.variables.push_back({.to = info.name, .from = info.name});
  }
  const auto broken = MapVariables(keras, less, {.drop_unmapped = true}).value();
  const auto error =
      BuildNameMap(network, "keras", "slim", broken.get(), Background::kKeep);
  EXPECT_THAT(std::string(Message(error.status())),
              HasSubstr("has 202 layers called conv2d_NUMBER, want 203"));
}

TEST(NameMaps, UnknownNames) {
  const auto error = [](const char* network, const char* from, const char* to) {
    return std::string(
        Message(BuildNameMap(network, from, to, nullptr, Background::kKeep).status()));
  };
  EXPECT_THAT(error("vgg_16", "slim", "keras"),
              HasSubstr("there is no network 'vgg_16'"));
  EXPECT_THAT(error("inception_resnet_v2", "slim", "caffe"),
              HasSubstr("has no names 'caffe'; there are slim, keras, keras3, timm, "
                        "cadene"));
  const auto other = GraphVariables::Of("efficientnet_lite0", 3);
  EXPECT_THAT(std::string(Message(FindNaming("inception_resnet_v2", *other).status())),
              HasSubstr("is not one of inception_resnet_v2"));
}

}  // namespace
}  // namespace oriel::nets
