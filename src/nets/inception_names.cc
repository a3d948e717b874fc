// The names of Inception-ResNet-v2's variables: TF-slim's, Keras's, and those of the
// two ports to PyTorch.

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "base/utf8.h"
#include "checkpoint/hdf5.h"
#include "nets/names.h"
#include "nets/nets.h"

namespace oriel::nets {
namespace {

constexpr std::string_view kScope = "InceptionResnetV2/";

// A layer of slim's graph with weights.
struct SlimLayer {
  std::vector<std::string> scope;  // without the network's own
  bool bias = false;               // and no batch norm
  int number = 0;                  // place in its branch
  int count = 0;                   // layers of the branch
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

std::string Joined(const SlimLayer& layer) {
  std::string text(kScope.substr(0, kScope.size() - 1));
  for (const std::string& part : layer.scope) text += "/" + part;
  return text;
}

// Whether both lie in one branch (or both beside branches of the same scope).
bool SameBranch(const SlimLayer& a, const SlimLayer& b) {
  return a.scope.size() == b.scope.size() &&
         std::equal(a.scope.begin(), a.scope.end() - 1, b.scope.begin());
}

// In the order in which slim makes them, which is Keras's order too.
absl::StatusOr<std::vector<SlimLayer>> SlimLayers() {
  NetworkOptions options;
  options.create_aux_logits = false;
  options.saver = false;
  ASSIGN_OR_RETURN(const Network network, BuildNetwork("inception_resnet_v2", options));
  constexpr std::string_view kWeights = "/weights";
  std::vector<SlimLayer> layers;
  for (const auto& node : network.graph.node()) {
    std::string_view name = node.name();
    if (node.op() != "VariableV2") continue;
    name.remove_prefix(kScope.size());
    if (name.ends_with(kWeights)) {
      name.remove_suffix(kWeights.size());
      layers.push_back({Split(name, '/')});
    } else if (name.ends_with("/biases")) {
      layers.back().bias = true;
    }
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    for (size_t k = 0; k < layers.size(); ++k) {
      if (!SameBranch(layers[i], layers[k])) continue;
      if (k < i) ++layers[i].number;
      ++layers[i].count;
    }
  }
  return layers;
}

bool IsClassifier(const SlimLayer& layer) { return layer.scope[0] == "Logits"; }

LayerNames SlimNames(const SlimLayer& layer) {
  const std::string scope = Joined(layer);
  LayerNames names{.kernel = scope + "/weights"};
  if (layer.bias) {
    names.bias = scope + "/biases";
    return names;
  }
  names.beta = scope + "/BatchNorm/beta";
  names.mean = scope + "/BatchNorm/moving_mean";
  names.variance = scope + "/BatchNorm/moving_variance";
  return names;
}

// Repeat/block35_3 has the number 3, and Block8, which follows nine of its kind, 10.
int BlockNumber(const std::vector<std::string>& scope) {
  if (scope[0] == "Block8") return 10;
  const std::string_view name = scope[1];
  int number = 0;
  std::from_chars(name.data() + name.find('_') + 1, name.data() + name.size(), number);
  return number;
}

std::string PyTorchModule(const SlimLayer& layer, std::string_view classifier) {
  const std::vector<std::string>& scope = layer.scope;
  if (IsClassifier(layer)) return std::string(classifier);
  if (scope.size() == 1) {  // Conv2d_1a_3x3 -> conv2d_1a
    return ToLower(scope[0].substr(0, scope[0].rfind('_')));
  }
  std::string module = ToLower(scope[0]);  // mixed_5b, repeat_1, block8
  size_t next = 1;
  if (scope[0].starts_with("Repeat")) {  // block35_1 is number 0
    module += fmt::format(".{}", BlockNumber(scope) - 1);
    next = 2;
  }
  if (!scope[next].starts_with("Branch_")) return module + ".conv2d";
  module += ".branch" + scope[next].substr(scope[next].find('_') + 1);
  // The average pool is number 0 of its branch.
  if (scope[0] == "Mixed_5b" && scope[next] == "Branch_3") return module + ".1";
  return layer.count == 1 ? module : fmt::format("{}.{}", module, layer.number);
}

LayerNames PyTorchNames(const SlimLayer& layer, std::string_view classifier) {
  const std::string module = PyTorchModule(layer, classifier);
  if (layer.bias) return {.kernel = module + ".weight", .bias = module + ".bias"};
  const std::string norm = module + ".bn.";
  return {.kernel = module + ".conv.weight",
          .gamma = norm + "weight",
          .beta = norm + "bias",
          .mean = norm + "running_mean",
          .variance = norm + "running_var",
          .counter = norm + "num_batches_tracked"};
}

// Keras's names of the layers that have one of their own; "" for those that Keras
// numbers.
std::string KerasOwnName(const SlimLayer& layer) {
  if (IsClassifier(layer)) return "predictions";
  if (layer.scope[0] == "Conv2d_7b_1x1") return "conv_7b";
  if (!layer.bias) return "";
  const std::string& block = layer.scope[0] == "Block8" ? "block8" : layer.scope[1];
  return fmt::format("{}_{}_conv", block.substr(0, block.find('_')),
                     BlockNumber(layer.scope));
}

std::string Numbered(std::string_view name, int number) {
  return number == 0 ? std::string(name) : fmt::format("{}_{}", name, number);
}

// The numbers of layers called `kind`, `kind`_1, ... that have a variable `variable`,
// rising. A process numbers the layers of all its models through, and early versions
// begin with 1, so that only the order counts.
std::vector<int> NumbersOf(std::string_view kind, std::string_view variable,
                           const VariableSource& checkpoint) {
  std::vector<int> numbers;
  for (const VariableInfo& info : checkpoint.variables()) {
    std::string_view name = info.name;
    if (!name.starts_with(kind) || !name.ends_with(variable)) continue;
    name.remove_prefix(kind.size());
    name.remove_suffix(std::min(variable.size(), name.size()));
    int number = 0;
    if (!name.empty()) {
      const auto end =
          std::from_chars(name.data() + 1, name.data() + name.size(), number);
      if (name[0] != '_' || end.ec != std::errc() ||
          end.ptr != name.data() + name.size()) {
        continue;
      }
    }
    numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::StatusOr<std::vector<int>> LayerNumbers(std::string_view kind,
                                              std::string_view variable, size_t count,
                                              const VariableSource* checkpoint) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  if (checkpoint == nullptr) return numbers;
  numbers = NumbersOf(kind, variable, *checkpoint);
  if (numbers.size() == count) return numbers;
  return NotFound("the checkpoint ({}) has {} layers called {}_NUMBER, want {}",
                  checkpoint->format(), numbers.size(), kind, count);
}

absl::Status AddKerasNames(const std::vector<SlimLayer>& layers,
                           const VariableSource* checkpoint, NamedLayers& to) {
  const size_t count =
      std::count_if(layers.begin(), layers.end(),
                    [](const SlimLayer& layer) { return KerasOwnName(layer).empty(); });
  ASSIGN_OR_RETURN(const std::vector<int> convolutions,
                   LayerNumbers("conv2d", "/kernel", count, checkpoint));
  ASSIGN_OR_RETURN(const std::vector<int> norms,
                   LayerNumbers("batch_normalization", "/beta", count, checkpoint));
  size_t next = 0;
  for (const SlimLayer& layer : layers) {
    std::string name = KerasOwnName(layer);
    std::string norm = name + "_bn";
    if (name.empty()) {
      name = Numbered("conv2d", convolutions[next]);
      norm = Numbered("batch_normalization", norms[next++]);
    }
    LayerNames names{.kernel = name + "/kernel"};
    if (layer.bias) {
      names.bias = name + "/bias";
    } else {
      names.beta = norm + "/beta";
      names.mean = norm + "/moving_mean";
      names.variance = norm + "/moving_variance";
    }
    to.layers.push_back(std::move(names));
  }
  return absl::OkStatus();
}

// The block that a layer is of: what its scope has before the branch.
std::string BlockOf(const SlimLayer& layer) {
  std::string block = layer.scope[0];
  if (block.starts_with("Repeat")) block += layer.scope[1];
  return block;
}

// The layers in the order that Keras 3 keeps them in: those that are further from the
// model's output first, which matters within a block alone; else as they were made.
std::vector<size_t> KerasOrder(const std::vector<SlimLayer>& layers) {
  std::vector<size_t> order(layers.size());
  std::iota(order.begin(), order.end(), 0);
  // Layers behind it in its block; the convolution after the branches comes last.
  const auto behind = [&](size_t i) {
    return layers[i].scope.size() == 1 || layers[i].bias
               ? 0
               : layers[i].count - layers[i].number;
  };
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && BlockOf(layers[end]) == BlockOf(layers[begin])) ++end;
    std::stable_sort(order.begin() + begin, order.begin() + end,
                     [&](size_t a, size_t b) { return behind(a) > behind(b); });
    begin = end;
  }
  return order;
}

// An .h5 file by the order of its layers, as Keras loads it: whatever they are called.
absl::Status AddKerasNamesByPlace(const std::vector<SlimLayer>& layers,
                                  const std::vector<std::vector<std::string>>& weights,
                                  const VariableSource& checkpoint, NamedLayers& to) {
  // Batch norms have vectors alone.
  std::vector<const std::vector<std::string>*> kernels, norms;
  for (const std::vector<std::string>& names : weights) {
    const bool vector = checkpoint.Find(names[0])->shape.rank() == 1;
    (vector ? norms : kernels).push_back(&names);
  }
  const size_t norm_count =
      std::count_if(layers.begin(), layers.end(), [](const auto& l) { return !l.bias; });
  if (kernels.size() != layers.size() || norms.size() != norm_count) {
    return NotFound(
        "the checkpoint ({}) has {} layers with kernels and {} batch norms, "
        "Inception-ResNet-v2 has {} and {}",
        checkpoint.format(), kernels.size(), norms.size(), layers.size(), norm_count);
  }
  to.layers.resize(layers.size());
  size_t next_kernel = 0, next_norm = 0;
  for (const size_t i : KerasOrder(layers)) {
    const std::vector<std::string>& kernel = *kernels[next_kernel++];
    if (kernel.size() != (layers[i].bias ? 2 : 1)) {
      return NotFound("'{}' of the checkpoint has {} variables, where '{}' should be",
                      kernel[0], kernel.size(), Joined(layers[i]));
    }
    LayerNames& names = to.layers[i];
    names.kernel = kernel[0];
    if (layers[i].bias) {
      names.bias = kernel[1];
      continue;
    }
    // beta, mean, variance; before them gamma, if there is one
    const std::vector<std::string>& norm = *norms[next_norm++];
    if (norm.size() != 3 && norm.size() != 4) {
      return NotFound(
          "'{}' of the checkpoint has {} variables, where a batch norm should "
          "be",
          norm[0], norm.size());
    }
    if (norm.size() == 4) names.gamma = norm[0];
    names.beta = norm[norm.size() - 3];
    names.mean = norm[norm.size() - 2];
    names.variance = norm[norm.size() - 1];
  }
  return absl::OkStatus();
}

// A .weights.h5 file has no layers' names: it numbers the layers of each class.
void AddKeras3Names(const std::vector<SlimLayer>& layers, NamedLayers& to) {
  to.layers.resize(layers.size());
  int convolutions = 0, norms = 0;
  for (const size_t i : KerasOrder(layers)) {
    const std::string name =
        IsClassifier(layers[i]) ? "dense" : Numbered("conv2d", convolutions++);
    LayerNames& names = to.layers[i];
    names.kernel = fmt::format("layers/{}/vars/0", name);
    if (layers[i].bias) {
      names.bias = fmt::format("layers/{}/vars/1", name);
      continue;
    }
    const std::string norm =
        fmt::format("layers/{}/vars/", Numbered("batch_normalization", norms++));
    names.beta = norm + "0";
    names.mean = norm + "1";
    names.variance = norm + "2";
  }
}

constexpr std::array kNamings = {
    NamingRow{{"slim", "TF-slim"}, "InceptionResnetV2/Logits/Logits/biases"},
    NamingRow{{"keras", "Keras"}, "conv_7b/kernel"},
    NamingRow{{"keras3", "Keras 3, .weights.h5"}, "layers/conv2d_243/vars/0"},
    NamingRow{{"timm", "timm (PyTorch)"}, "classif.weight"},
    NamingRow{{"cadene", "Cadene's pretrained-models (PyTorch)"}, "last_linear.weight"},
};

}  // namespace

std::span<const NamingRow> InceptionNamings() { return kNamings; }

absl::StatusOr<NamedLayers> InceptionLayers(std::string_view naming,
                                            const VariableSource* checkpoint) {
  ASSIGN_OR_RETURN(const std::vector<SlimLayer> layers, SlimLayers());
  NamedLayers named;
  for (const SlimLayer& layer : layers) {
    named.kinds.push_back(IsClassifier(layer) ? LayerKind::kDense
                                              : LayerKind::kConvolution);
  }
  if (naming == "keras") {
    std::vector<std::vector<std::string>> weights;
    if (checkpoint != nullptr) weights = checkpoint::KerasLayers(*checkpoint);
    RETURN_IF_ERROR(weights.empty()
                        ? AddKerasNames(layers, checkpoint, named)
                        : AddKerasNamesByPlace(layers, weights, *checkpoint, named));
  } else if (naming == "keras3") {
    AddKeras3Names(layers, named);
  } else if (naming == "slim") {
    for (const SlimLayer& layer : layers) named.layers.push_back(SlimNames(layer));
    named.others = {"InceptionResnetV2/AuxLogits/*", "global_step"};
  } else {
    for (const SlimLayer& layer : layers) {
      named.layers.push_back(
          PyTorchNames(layer, naming == "timm" ? "classif" : "last_linear"));
    }
    named.pytorch_layouts = true;
  }
  return named;
}

}  // namespace oriel::nets
