// The names of EfficientNet-Lite's variables: TensorFlow's, and those of two ports to
// PyTorch.

#include <array>

#include "nets/builders.h"
#include "nets/names.h"

namespace oriel::nets {
namespace {

// Names of PyTorch's two ports of EfficientNet-Lite.
struct Modules {
  std::string stem, stem_norm, head, head_norm, classifier;
  bool by_stage;  // blocks.<stage>.<repeat> with timm's layer names
};

const Modules kPyTorch = {"_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc", false};
const Modules kTimm = {"conv_stem", "bn1", "conv_head", "bn2", "classifier", true};

// Convolution and batch norm modules of a block: expansion, depthwise, projection.
struct BlockModules {
  std::array<std::string, 3> convolutions;
  std::array<std::string, 3> norms;
};

BlockModules ModulesOf(const Modules& modules, const MobileBlock& block, size_t index) {
  BlockModules names;
  std::string prefix;
  if (!modules.by_stage) {
    prefix = fmt::format("_blocks.{}.", index);
    names = {{"_expand_conv", "_depthwise_conv", "_project_conv"},
             {"_bn0", "_bn1", "_bn2"}};
  } else {
    prefix = fmt::format("blocks.{}.{}.", block.stage, block.repeat);
    names = block.expand_ratio == 1
                ? BlockModules{{"", "conv_dw", "conv_pw"}, {"", "bn1", "bn2"}}
                : BlockModules{{"conv_pw", "conv_dw", "conv_pwl"}, {"bn1", "bn2", "bn3"}};
  }
  for (int k = 0; k < 3; ++k) {
    names.convolutions[k] = prefix + names.convolutions[k];
    names.norms[k] = prefix + names.norms[k];
  }
  return names;
}

LayerNames PyTorchNames(const std::string& convolution, const std::string& norm) {
  return {.kernel = convolution + ".weight",
          .gamma = norm + ".weight",
          .beta = norm + ".bias",
          .mean = norm + ".running_mean",
          .variance = norm + ".running_var",
          .counter = norm + ".num_batches_tracked"};
}

LayerNames TensorFlowNames(const std::string& kernel, const std::string& norm) {
  return {.kernel = kernel,
          .gamma = norm + "/gamma",
          .beta = norm + "/beta",
          .mean = norm + "/moving_mean",
          .variance = norm + "/moving_variance"};
}

std::string Numbered(const std::string& name, int number) {
  return number == 0 ? name : fmt::format("{}_{}", name, number);
}

void AddBlock(const MobileBlock& block, size_t index, const std::string& network,
              const Modules* modules, NamedLayers& to) {
  const std::string scope = fmt::format("{}blocks_{}/", network, index);
  // Layers that are there are numbered through, as they are in the graph.
  int convolutions = 0, norms = 0;
  for (int k = block.expand_ratio == 1 ? 1 : 0; k < 3; ++k) {
    const bool depthwise = k == 1;
    to.kinds.push_back(depthwise ? LayerKind::kDepthwise : LayerKind::kConvolution);
    if (modules != nullptr) {
      const BlockModules names = ModulesOf(*modules, block, index);
      to.layers.push_back(PyTorchNames(names.convolutions[k], names.norms[k]));
      continue;
    }
    const std::string kernel = depthwise ? "depthwise_conv2d/depthwise_kernel"
                                         : Numbered("conv2d", convolutions++) + "/kernel";
    to.layers.push_back(TensorFlowNames(
        scope + kernel, scope + Numbered("tpu_batch_normalization", norms++)));
  }
}

constexpr std::array kRows = {
    NamingRow{{"tensorflow", "TensorFlow"}, ""},
    NamingRow{{"pytorch", "efficientnet_lite_pytorch"}, "_conv_stem.weight"},
    NamingRow{{"timm", "timm (PyTorch)"}, "conv_stem.weight"},
};
constexpr std::array kBiases = {"efficientnet-lite0/head/dense/bias",
                                "efficientnet-lite1/head/dense/bias",
                                "efficientnet-lite2/head/dense/bias"};

constexpr std::array<NamingRow, 3> RowsFor(int version) {
  std::array<NamingRow, 3> rows = kRows;
  rows[0].mark = kBiases[version];
  return rows;
}
constexpr std::array kNamings = {RowsFor(0), RowsFor(1), RowsFor(2)};

}  // namespace

std::span<const NamingRow> EfficientNetLiteNamings(int version) {
  return kNamings[version];
}

NamedLayers EfficientNetLiteLayers(int version, std::string_view naming) {
  NamedLayers named;
  const Modules* const modules = naming == "pytorch" ? &kPyTorch
                                 : naming == "timm"  ? &kTimm
                                                     : nullptr;
  named.pytorch_layouts = modules != nullptr;
  const std::string network = fmt::format("efficientnet-lite{}/", version);
  const auto end = [&](const char* scope, const std::string& convolution,
                       const std::string& norm) {
    named.kinds.push_back(LayerKind::kConvolution);
    named.layers.push_back(
        modules != nullptr
            ? PyTorchNames(convolution, norm)
            : TensorFlowNames(
                  fmt::format("{}{}/conv2d/kernel", network, scope),
                  fmt::format("{}{}/tpu_batch_normalization", network, scope)));
  };
  end("stem", modules == nullptr ? "" : modules->stem,
      modules == nullptr ? "" : modules->stem_norm);
  const auto blocks = EfficientNetLiteBlocks(EfficientNetLiteVersion(version));
  for (size_t i = 0; i < blocks.size(); ++i) {
    AddBlock(blocks[i], i, network, modules, named);
  }
  end("head", modules == nullptr ? "" : modules->head,
      modules == nullptr ? "" : modules->head_norm);
  named.kinds.push_back(LayerKind::kDense);
  named.layers.push_back(modules != nullptr
                             ? LayerNames{.kernel = modules->classifier + ".weight",
                                          .bias = modules->classifier + ".bias"}
                             : LayerNames{.kernel = network + "head/dense/kernel",
                                          .bias = network + "head/dense/bias"});
  if (modules == nullptr) named.others = {"global_step"};
  return named;
}

}  // namespace oriel::nets
