// EfficientNet-Lite as the efficientnet directory of TensorFlow's TPU models builds
// it at inference: M. Tan, Q. Le: EfficientNet: Rethinking Model Scaling for
// Convolutional Neural Networks, 2019 (arXiv 1905.11946), without
// squeeze-and-excitation, with ReLU6, stem and head of fixed width.

#include <algorithm>
#include <array>
#include <cmath>

#include "nets/builders.h"
#include "nets/graph_builder.h"

namespace oriel::nets {
namespace {

constexpr float kEpsilon = 0.001f;
constexpr int kStemChannels = 32;
constexpr int kHeadChannels = 1280;

struct Stage {
  int repeats;
  int kernel;
  int stride;
  int expand_ratio;
  int input_channels;
  int output_channels;
};

constexpr std::array kStages = {
    Stage{1, 3, 1, 1, 32, 16},   Stage{2, 3, 2, 6, 16, 24},  Stage{2, 5, 2, 6, 24, 40},
    Stage{3, 3, 2, 6, 40, 80},   Stage{3, 5, 1, 6, 80, 112}, Stage{4, 5, 2, 6, 112, 192},
    Stage{1, 3, 1, 6, 192, 320},
};

// To the nearest multiple of 8, but not down by more than a tenth.
int ScaleChannels(int channels, double coefficient) {
  const double scaled = channels * coefficient;
  int rounded = std::max(8, static_cast<int>(scaled + 4) / 8 * 8);
  if (rounded < 0.9 * scaled) rounded += 8;
  return rounded;
}

// Five halvings leave one pixel of it.
constexpr int kMinImageSize = 32;

class Builder {
 public:
  Builder(int version, const NetworkOptions& options)
      : options_(options),
        variables_(fmt::format("efficientnet-lite{}", version)),
        ops_(variables_ + "/model"),
        blocks_(EfficientNetLiteBlocks(EfficientNetLiteVersion(version))) {}

  absl::StatusOr<Network> Build() {
    const int size = options_.image_size;
    if (size < kMinImageSize) {
      return InvalidArgument("the image is too small: {0}x{0}, want at least {1}x{1}",
                             size, kMinImageSize);
    }
    FeatureMap net = b_.Placeholder("images", options_.batch_size, size, size, 3);
    network_.input = net.node;
    Enter("stem");
    net = Conv(net, {.height = 3, .width = 3, .stride = 2}, kStemChannels, true);
    network_.end_points.emplace_back("stem", net.node);
    for (size_t i = 0; i < blocks_.size(); ++i) {
      Enter(fmt::format("blocks_{}", i));
      net = Block(blocks_[i], net);
      network_.end_points.emplace_back(fmt::format("block_{}", i), net.node);
    }
    Enter("head");
    net = Conv(net, {}, kHeadChannels, true);
    network_.end_points.emplace_back("head_1x1", net.node);
    network_.features = net.node;
    net = b_.Pool("AvgPool", ops_ + "/head/AvgPool", net,
                  {.height = net.height, .width = net.width, .padding = Padding::kValid});
    network_.end_points.emplace_back("pooled_features", net.node);
    net = b_.Squeeze(ops_ + "/head/Squeeze", net);
    const int64_t classes = options_.num_classes;
    const std::string dense = "/head/dense";
    const std::string kernel =
        b_.Variable(variables_ + dense + "/kernel", {net.channels, classes});
    const std::string bias = b_.Variable(variables_ + dense + "/bias", {classes});
    net = b_.MatMul(ops_ + dense + "/MatMul", net, kernel, classes);
    net = b_.BiasAdd(ops_ + dense + "/BiasAdd", net, bias);
    net = b_.Unary("Identity", "logits", net);
    network_.logits = net.node;
    network_.end_points.emplace_back("logits", net.node);
    net = b_.Unary("Softmax", "Softmax", net);
    network_.predictions = net.node;
    network_.end_points.emplace_back("predictions", net.node);
    RETURN_IF_ERROR(b_.status());
    if (options_.saver) b_.AddSaver();
    network_.graph = b_.Take();
    return std::move(network_);
  }

 private:
  // Layers are numbered within a scope: conv2d, conv2d_1, ...
  void Enter(const std::string& scope) {
    scope_ = fmt::format("/{}", scope);
    convolutions_ = norms_ = activations_ = 0;
  }

  static std::string Numbered(std::string_view name, int number) {
    return number == 0 ? std::string(name) : fmt::format("{}_{}", name, number);
  }

  FeatureMap NormAndActivation(const FeatureMap& x, bool activate) {
    const std::string layer =
        fmt::format("{}/{}", scope_, Numbered("tpu_batch_normalization", norms_++));
    const auto parameter = [&](const char* name) {
      return b_.Variable(fmt::format("{}{}/{}", variables_, layer, name), {x.channels});
    };
    const std::string gamma = parameter("gamma");
    const std::string beta = parameter("beta");
    const std::string mean = parameter("moving_mean");
    const std::string variance = parameter("moving_variance");
    const FeatureMap y = b_.FusedBatchNorm(ops_ + layer + "/FusedBatchNormV3", x, gamma,
                                           beta, mean, variance, kEpsilon);
    if (!activate) return y;
    return b_.Unary(
        "Relu6", fmt::format("{}{}/{}", ops_, scope_, Numbered("Relu6", activations_++)),
        y);
  }

  FeatureMap Conv(const FeatureMap& x, const Window& window, int64_t channels,
                  bool activate) {
    const std::string layer =
        fmt::format("{}/{}", scope_, Numbered("conv2d", convolutions_++));
    const std::string kernel =
        b_.Variable(variables_ + layer + "/kernel",
                    {window.height, window.width, x.channels, channels});
    return NormAndActivation(
        b_.Conv2D(ops_ + layer + "/Conv2D", x, kernel, window, channels), activate);
  }

  FeatureMap Block(const MobileBlock& block, const FeatureMap& x) {
    FeatureMap net = x;
    if (block.expand_ratio != 1) {
      net = Conv(net, {}, int64_t{block.input_channels} * block.expand_ratio, true);
    }
    const std::string layer = scope_ + "/depthwise_conv2d";
    const Window window{
        .height = block.kernel, .width = block.kernel, .stride = block.stride};
    const std::string kernel =
        b_.Variable(variables_ + layer + "/depthwise_kernel",
                    {window.height, window.width, net.channels, 1});
    net = b_.DepthwiseConv2D(ops_ + layer + "/depthwise", net, kernel, window);
    net = NormAndActivation(net, true);
    net = Conv(net, {}, block.output_channels, false);
    net = b_.Unary("Identity", ops_ + scope_ + "/Identity", net);
    if (block.stride == 1 && block.input_channels == block.output_channels) {
      net = b_.Binary("AddV2", ops_ + scope_ + "/Add", net, x.node);
    }
    return net;
  }

  const NetworkOptions& options_;
  const std::string variables_;
  const std::string ops_;
  const std::vector<MobileBlock> blocks_;
  std::string scope_;
  int convolutions_ = 0;
  int norms_ = 0;
  int activations_ = 0;
  GraphBuilder b_;
  Network network_;
};

}  // namespace

EfficientNetLiteParameters EfficientNetLiteVersion(int version) {
  constexpr std::array<EfficientNetLiteParameters, 3> kVersions = {
      {{1.0, 1.0}, {1.0, 1.1}, {1.1, 1.2}}};
  return kVersions[version];
}

std::vector<MobileBlock> EfficientNetLiteBlocks(const EfficientNetLiteParameters& p) {
  std::vector<MobileBlock> blocks;
  for (size_t s = 0; s < kStages.size(); ++s) {
    const Stage& stage = kStages[s];
    // The first and the last stage keep their depth.
    const bool fixed = s == 0 || s + 1 == kStages.size();
    const int repeats =
        fixed ? stage.repeats
              : static_cast<int>(std::ceil(stage.repeats * p.depth_coefficient));
    const int output = ScaleChannels(stage.output_channels, p.width_coefficient);
    // The stem is not scaled, and the first block reads it.
    const int input =
        s == 0 ? kStemChannels : ScaleChannels(stage.input_channels, p.width_coefficient);
    for (int r = 0; r < repeats; ++r) {
      blocks.push_back({.stage = static_cast<int>(s),
                        .repeat = r,
                        .kernel = stage.kernel,
                        .stride = r == 0 ? stage.stride : 1,
                        .expand_ratio = stage.expand_ratio,
                        .input_channels = r == 0 ? input : output,
                        .output_channels = output});
    }
  }
  return blocks;
}

absl::StatusOr<Network> BuildEfficientNetLite(int version,
                                              const NetworkOptions& options) {
  return Builder(version, options).Build();
}

}  // namespace oriel::nets
