#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "nets/builders.h"
#include "nets/nets.h"

namespace oriel::nets {
namespace {

// How a tensor of the checkpoint lies compared to the variable made of it.
enum class Layout {
  kSame,
  kConvolution,  // [out,in,h,w] -> [h,w,in,out]
  kDepthwise,    // [channels,1,h,w] -> [h,w,channels,1]
  kMatrix,       // [out,in] -> [in,out]
};

std::vector<int> Permutation(Layout layout) {
  switch (layout) {
    case Layout::kSame:
      return {};
    case Layout::kConvolution:
      return {2, 3, 1, 0};
    case Layout::kDepthwise:
      return {2, 3, 0, 1};
    case Layout::kMatrix:
      return {1, 0};
  }
  return {};
}

// One variable of the network and what it is made of.
struct Recipe {
  std::string variable;
  std::string source;
  Layout layout = Layout::kSame;
  std::string factor;  // by the variable's last dimension; "": none
};

Tensor Permute(const Tensor& src, const std::vector<int>& order) {
  const int rank = src.shape().rank();
  std::vector<int64_t> dims(rank), steps(rank), src_steps(rank, 1);
  for (int d = rank - 2; d >= 0; --d) {
    src_steps[d] = src_steps[d + 1] * src.shape().dim(d + 1);
  }
  for (int d = 0; d < rank; ++d) {
    dims[d] = src.shape().dim(order[d]);
    steps[d] = src_steps[order[d]];
  }
  Tensor dst(DType::kFloat32, Shape(dims));
  const float* const in = src.data<float>().data();
  std::vector<int64_t> at(rank, 0);
  int64_t offset = 0;
  for (float& value : dst.mutable_data<float>()) {
    value = in[offset];
    for (int d = rank - 1; d >= 0; --d) {
      offset += steps[d];
      if (++at[d] < dims[d]) break;
      offset -= steps[d] * dims[d];
      at[d] = 0;
    }
  }
  return dst;
}

class AdaptedCheckpoint : public VariableSource {
 public:
  static absl::StatusOr<std::shared_ptr<const VariableSource>> Create(
      std::shared_ptr<const VariableSource> base, std::vector<Recipe> recipes) {
    auto adapted = std::make_shared<AdaptedCheckpoint>();
    std::sort(recipes.begin(), recipes.end(),
              [](const Recipe& a, const Recipe& b) { return a.variable < b.variable; });
    for (const Recipe& recipe : recipes) {
      const VariableInfo* const info = base->Find(recipe.source);
      if (info == nullptr) {
        return NotFound("the checkpoint ({}) has no tensor '{}', which '{}' is made of",
                        base->format(), recipe.source, recipe.variable);
      }
      Shape shape = info->shape;
      if (recipe.layout != Layout::kSame) {
        const std::vector<int> order = Permutation(recipe.layout);
        if (shape.rank() != static_cast<int>(order.size())) {
          return InvalidArgument(
              "tensor '{}' of the checkpoint has shape {}, want {} "
              "dimensions",
              recipe.source, shape.ToString(), order.size());
        }
        for (size_t d = 0; d < order.size(); ++d) {
          shape.set_dim(static_cast<int>(d), info->shape.dim(order[d]));
        }
      }
      if (!recipe.factor.empty()) {
        const VariableInfo* const factor = base->Find(recipe.factor);
        if (factor == nullptr) {
          return NotFound("the checkpoint ({}) has no tensor '{}', which '{}' is made of",
                          base->format(), recipe.factor, recipe.variable);
        }
        if (shape.rank() < 1 || factor->shape != Shape{shape.dim(-1)}) {
          return InvalidArgument(
              "tensor '{}' of the checkpoint has shape {}, '{}' has {}: "
              "channels differ",
              recipe.factor, factor->shape.ToString(), recipe.source,
              info->shape.ToString());
        }
      }
      const bool copied = recipe.layout == Layout::kSame && recipe.factor.empty();
      adapted->infos_.push_back(
          {recipe.variable, copied ? info->dtype : DType::kFloat32, std::move(shape)});
    }
    adapted->base_ = std::move(base);
    adapted->recipes_ = std::move(recipes);
    return adapted;
  }

  const std::vector<VariableInfo>& variables() const override { return infos_; }

  absl::StatusOr<Tensor> Read(std::string_view name) const override {
    const VariableInfo* const info = Find(name);
    if (info == nullptr) return NotFound("there is no variable '{}'", name);
    const Recipe& recipe = recipes_[info - infos_.data()];
    ASSIGN_OR_RETURN(Tensor value, base_->Read(recipe.source));
    if (recipe.layout == Layout::kSame && recipe.factor.empty()) return value;
    ASSIGN_OR_RETURN(value, ToFloat32(value));
    value = recipe.layout == Layout::kSame ? value.Clone()
                                           : Permute(value, Permutation(recipe.layout));
    if (recipe.factor.empty()) return value;
    ASSIGN_OR_RETURN(Tensor factor, base_->Read(recipe.factor));
    ASSIGN_OR_RETURN(factor, ToFloat32(factor));
    const auto factors = factor.data<float>();
    const auto values = value.mutable_data<float>();
    for (size_t i = 0; i < values.size(); i += factors.size()) {
      for (size_t c = 0; c < factors.size(); ++c) values[i + c] *= factors[c];
    }
    return value;
  }

  std::string_view format() const override { return base_->format(); }

 private:
  std::shared_ptr<const VariableSource> base_;
  std::vector<VariableInfo> infos_;
  std::vector<Recipe> recipes_;  // of infos_, one each
};

std::vector<std::string> Split(std::string_view text, char by) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(by, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The PyTorch module of slim's layer `scope` ("Repeat/block35_1/Branch_0/Conv2d_1x1"
// without the network's own scope). `number` is the layer's place in its branch of
// `count` layers.
std::string InceptionModule(const std::vector<std::string>& scope, int number,
                            int count) {
  if (scope.size() == 1) {  // Conv2d_1a_3x3 -> conv2d_1a
    return ToLower(scope[0].substr(0, scope[0].rfind('_')));
  }
  std::string module = ToLower(scope[0]);  // mixed_5b, repeat_1, block8
  size_t next = 1;
  if (scope[0].starts_with("Repeat")) {  // block35_1 is number 0
    module += fmt::format(".{}", std::stoi(scope[1].substr(scope[1].find('_') + 1)) - 1);
    next = 2;
  }
  if (!scope[next].starts_with("Branch_")) return module + ".conv2d";
  module += ".branch" + scope[next].substr(scope[next].find('_') + 1);
  // The average pool is number 0 of its branch.
  if (scope[0] == "Mixed_5b" && scope[next] == "Branch_3") return module + ".1";
  return count == 1 ? module : fmt::format("{}.{}", module, number);
}

absl::StatusOr<std::vector<Recipe>> InceptionRecipes(const VariableSource& checkpoint) {
  NetworkOptions options;
  options.create_aux_logits = false;
  options.saver = false;
  ASSIGN_OR_RETURN(const Network network, BuildNetwork("inception_resnet_v2", options));
  // Layers in order, and how many each branch has.
  constexpr std::string_view kScope = "InceptionResnetV2/";
  constexpr std::string_view kWeights = "/weights";
  std::vector<std::string> layers;
  std::vector<std::string> with_bias;
  for (const auto& node : network.graph.node()) {
    std::string_view name = node.name();
    if (node.op() != "VariableV2") continue;
    name.remove_prefix(kScope.size());
    if (name.ends_with(kWeights)) {
      layers.emplace_back(name.substr(0, name.size() - kWeights.size()));
    } else if (name.ends_with("/biases")) {
      with_bias.emplace_back(name.substr(0, name.rfind('/')));
    }
  }
  const auto branch_of = [](const std::string& layer) {
    return layer.substr(0, layer.rfind('/') + 1);
  };
  std::vector<Recipe> recipes;
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string& layer = layers[i];
    const std::string variable = fmt::format("{}{}", kScope, layer);
    if (layer == "Logits/Logits") {
      const std::string module =
          checkpoint.Find("last_linear.weight") != nullptr ? "last_linear" : "classif";
      recipes.push_back({variable + "/weights", module + ".weight", Layout::kMatrix, ""});
      recipes.push_back({variable + "/biases", module + ".bias", Layout::kSame, ""});
      continue;
    }
    const std::string branch = branch_of(layer);
    int number = 0, count = 0;
    for (size_t k = 0; k < layers.size(); ++k) {
      if (branch_of(layers[k]) != branch) continue;
      if (k < i) ++number;
      ++count;
    }
    const std::string module = InceptionModule(Split(layer, '/'), number, count);
    if (std::find(with_bias.begin(), with_bias.end(), layer) != with_bias.end()) {
      recipes.push_back(
          {variable + "/weights", module + ".weight", Layout::kConvolution, ""});
      recipes.push_back({variable + "/biases", module + ".bias", Layout::kSame, ""});
      continue;
    }
    // y = (w*x - mean) * rsqrt(var + eps) * gamma + beta, which is the same as
    //     ((w*gamma)*x - mean*gamma) * rsqrt(var + eps) + beta.
    const std::string norm = variable + "/BatchNorm/";
    const std::string gamma = module + ".bn.weight";
    recipes.push_back(
        {variable + "/weights", module + ".conv.weight", Layout::kConvolution, gamma});
    recipes.push_back({norm + "beta", module + ".bn.bias", Layout::kSame, ""});
    recipes.push_back(
        {norm + "moving_mean", module + ".bn.running_mean", Layout::kSame, gamma});
    recipes.push_back(
        {norm + "moving_variance", module + ".bn.running_var", Layout::kSame, ""});
  }
  return recipes;
}

// Names of PyTorch's two ports of EfficientNet-Lite.
struct EfficientNetModules {
  std::string stem, stem_norm, head, head_norm, classifier;
  bool by_stage;  // blocks.<stage>.<repeat> with timm's layer names
};

const EfficientNetModules kEfficientNetPytorch = {"_conv_stem", "_bn0", "_conv_head",
                                                  "_bn1",       "_fc",  false};
const EfficientNetModules kTimm = {"conv_stem", "bn1",        "conv_head",
                                   "bn2",       "classifier", true};

// Convolution and batch norm modules of a block: expansion, depthwise, projection.
struct BlockModules {
  std::array<std::string, 3> convolutions;
  std::array<std::string, 3> norms;
};

BlockModules ModulesOf(const EfficientNetModules& modules, const MobileBlock& block,
                       size_t index) {
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

std::vector<Recipe> EfficientNetRecipes(int version, const EfficientNetModules& modules) {
  std::vector<Recipe> recipes;
  const std::string network = fmt::format("efficientnet-lite{}/", version);
  const auto norm = [&](const std::string& scope, const std::string& module) {
    recipes.push_back({scope + "/gamma", module + ".weight", Layout::kSame, ""});
    recipes.push_back({scope + "/beta", module + ".bias", Layout::kSame, ""});
    recipes.push_back(
        {scope + "/moving_mean", module + ".running_mean", Layout::kSame, ""});
    recipes.push_back(
        {scope + "/moving_variance", module + ".running_var", Layout::kSame, ""});
  };
  const auto numbered = [](const std::string& name, int number) {
    return number == 0 ? name : fmt::format("{}_{}", name, number);
  };
  for (const auto& [scope, conv, bn] :
       {std::array{network + "stem", modules.stem, modules.stem_norm},
        std::array{network + "head", modules.head, modules.head_norm}}) {
    recipes.push_back(
        {scope + "/conv2d/kernel", conv + ".weight", Layout::kConvolution, ""});
    norm(scope + "/tpu_batch_normalization", bn);
  }
  recipes.push_back({network + "head/dense/kernel", modules.classifier + ".weight",
                     Layout::kMatrix, ""});
  recipes.push_back(
      {network + "head/dense/bias", modules.classifier + ".bias", Layout::kSame, ""});

  const auto blocks = EfficientNetLiteBlocks(EfficientNetLiteVersion(version));
  for (size_t i = 0; i < blocks.size(); ++i) {
    const BlockModules names = ModulesOf(modules, blocks[i], i);
    const std::string scope = fmt::format("{}blocks_{}/", network, i);
    // Layers that are there are numbered through, as they are in the graph.
    int convolutions = 0, norms = 0;
    for (int k = blocks[i].expand_ratio == 1 ? 1 : 0; k < 3; ++k) {
      const bool depthwise = k == 1;
      const std::string kernel = depthwise
                                     ? "depthwise_conv2d/depthwise_kernel"
                                     : numbered("conv2d", convolutions++) + "/kernel";
      recipes.push_back({scope + kernel, names.convolutions[k] + ".weight",
                         depthwise ? Layout::kDepthwise : Layout::kConvolution, ""});
      norm(scope + numbered("tpu_batch_normalization", norms++), names.norms[k]);
    }
  }
  return recipes;
}

// Averaged weights under the names of the plain ones; empty when there are none.
std::vector<Recipe> AverageRecipes(const VariableSource& checkpoint) {
  constexpr std::string_view kAverage = "/ExponentialMovingAverage";
  std::vector<Recipe> recipes;
  bool any = false;
  for (const VariableInfo& info : checkpoint.variables()) {
    if (info.name.ends_with(kAverage)) continue;
    const std::string average = fmt::format("{}{}", info.name, kAverage);
    const bool has = checkpoint.Find(average) != nullptr;
    any = any || has;
    recipes.push_back({info.name, has ? average : info.name, Layout::kSame, ""});
  }
  if (!any) recipes.clear();
  return recipes;
}

std::string ClassifierBias(std::string_view network) {
  if (network == "inception_resnet_v2") return "InceptionResnetV2/Logits/Logits/biases";
  return fmt::format("efficientnet-lite{}/head/dense/bias", network.back());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const VariableSource>> AdaptCheckpoint(
    std::string_view network, std::shared_ptr<const VariableSource> checkpoint) {
  if (FindNetwork(network) == nullptr) {
    return InvalidArgument("there is no network '{}'", network);
  }
  if (checkpoint->Find(ClassifierBias(network)) != nullptr) {
    if (network == "inception_resnet_v2") return checkpoint;
    std::vector<Recipe> recipes = AverageRecipes(*checkpoint);
    if (recipes.empty()) return checkpoint;
    return AdaptedCheckpoint::Create(std::move(checkpoint), std::move(recipes));
  }
  if (network == "inception_resnet_v2") {
    if (checkpoint->Find("conv2d_1a.conv.weight") != nullptr) {
      ASSIGN_OR_RETURN(std::vector<Recipe> recipes, InceptionRecipes(*checkpoint));
      return AdaptedCheckpoint::Create(std::move(checkpoint), std::move(recipes));
    }
  } else {
    const int version = network.back() - '0';
    for (const EfficientNetModules* modules : {&kEfficientNetPytorch, &kTimm}) {
      if (checkpoint->Find(modules->stem + ".weight") == nullptr) continue;
      return AdaptedCheckpoint::Create(std::move(checkpoint),
                                       EfficientNetRecipes(version, *modules));
    }
  }
  return NotFound(
      "the checkpoint ({}, {} tensors) is not one of {}: it has neither TensorFlow's "
      "names "
      "('{}') nor PyTorch's",
      checkpoint->format(), checkpoint->variables().size(), network,
      ClassifierBias(network));
}

absl::StatusOr<int> CheckpointClasses(std::string_view network,
                                      const VariableSource& checkpoint) {
  if (FindNetwork(network) == nullptr) {
    return InvalidArgument("there is no network '{}'", network);
  }
  const std::string name = ClassifierBias(network);
  const VariableInfo* const info = checkpoint.Find(name);
  if (info == nullptr || info->shape.rank() != 1) {
    return NotFound("the checkpoint ({}) has no vector '{}'", checkpoint.format(), name);
  }
  if (info->shape.dim(0) < 1 || info->shape.dim(0) > (1 << 20)) {
    return InvalidArgument("'{}' has {} classes", name, info->shape.dim(0));
  }
  return static_cast<int>(info->shape.dim(0));
}

}  // namespace oriel::nets
