#include "nets/name_maps.h"

#include <algorithm>

#include "nets/nets.h"

namespace oriel::nets {
namespace {

using checkpoint::MapEntry;
using checkpoint::MapFill;
using checkpoint::MapPad;
using checkpoint::MapSlice;
using checkpoint::NameMap;

// Of kernels; the last is how far the logits of a class that was added lie below others:
// its probability is 0 in float32.
constexpr int kTensorFlowOutputAxis = 3;
constexpr double kNever = -100;

std::vector<int> KernelAxes(LayerKind kind, bool from_pytorch, bool to_pytorch) {
  if (from_pytorch == to_pytorch) return {};
  switch (kind) {
    case LayerKind::kConvolution:
      return to_pytorch ? std::vector{3, 2, 0, 1} : std::vector{2, 3, 1, 0};
    case LayerKind::kDepthwise:  // [h,w,channels,1] and [channels,1,h,w]
      return {2, 3, 0, 1};
    case LayerKind::kDense:
      return {1, 0};
  }
  return {};
}

class Builder {
 public:
  Builder(const NamedLayers& from, const NamedLayers& to, Background background)
      : from_(from), to_(to), background_(background) {}

  std::vector<MapEntry> Build() {
    for (size_t i = 0; i < from_.layers.size(); ++i) {
      AddLayer(from_.kinds[i], from_.layers[i], to_.layers[i]);
    }
    return std::move(entries_);
  }

 private:
  void AddLayer(LayerKind kind, const LayerNames& from, const LayerNames& to) {
    // y = (w*x - mean) * rsqrt(var + eps) * gamma + beta, which is the same as
    //     ((w*gamma)*x - mean*gamma) * rsqrt(var + eps) + beta.
    const bool folds = !from.gamma.empty() && to.gamma.empty();
    MapEntry kernel{.to = to.kernel,
                    .from = from.kernel,
                    .axes = KernelAxes(kind, from_.pytorch_layouts, to_.pytorch_layouts)};
    if (folds) {
      kernel.scale = {from.gamma, to_.pytorch_layouts ? 0 : kTensorFlowOutputAxis};
    }
    if (kind == LayerKind::kDense) SetClasses(kernel, to_.pytorch_layouts ? 0 : 1, 0);
    entries_.push_back(std::move(kernel));
    if (!to.bias.empty()) {
      MapEntry bias{.to = to.bias, .from = from.bias};
      if (kind == LayerKind::kDense) SetClasses(bias, 0, kNever);
      entries_.push_back(std::move(bias));
    }
    if (to.beta.empty()) return;
    if (!to.gamma.empty() && !from.gamma.empty()) Copy(from.gamma, to.gamma);
    if (!to.gamma.empty() && from.gamma.empty()) {
      entries_.push_back({.to = to.gamma, .fill = MapFill{1, from.beta}});
    }
    Copy(from.beta, to.beta);
    Copy(from.mean, to.mean);
    if (folds) entries_.back().scale = {from.gamma, 0};
    Copy(from.variance, to.variance);
    if (!to.counter.empty()) {
      entries_.push_back({.to = to.counter, .fill = MapFill{0, "", {}, DType::kInt64}});
    }
  }

  void Copy(const std::string& from, const std::string& to) {
    entries_.push_back({.to = to, .from = from});
  }

  void SetClasses(MapEntry& entry, int axis, float value) const {
    if (background_ == Background::kDrop) entry.slice = MapSlice{axis, 1, 0};
    if (background_ == Background::kAdd) entry.pad = MapPad{axis, 1, 0, value};
  }

  const NamedLayers& from_;
  const NamedLayers& to_;
  const Background background_;
  std::vector<MapEntry> entries_;
};

absl::Status CheckNaming(std::string_view network, std::string_view name) {
  std::string names;
  for (const Naming& naming : NamingsOf(network)) {
    if (naming.name == name) return absl::OkStatus();
    names += fmt::format("{}{}", names.empty() ? "" : ", ", naming.name);
  }
  return InvalidArgument("{} has no names '{}'; there are {}", network, name, names);
}

}  // namespace

absl::StatusOr<NameMap> BuildNameMap(std::string_view network, std::string_view from,
                                     std::string_view to,
                                     const VariableSource* checkpoint,
                                     Background background) {
  if (FindNetwork(network) == nullptr) {
    return InvalidArgument("there is no network '{}'", network);
  }
  RETURN_IF_ERROR(CheckNaming(network, from));
  RETURN_IF_ERROR(CheckNaming(network, to));
  ASSIGN_OR_RETURN(const NamedLayers before, LayersByName(network, from, checkpoint));
  ASSIGN_OR_RETURN(const NamedLayers after, LayersByName(network, to, nullptr));
  NameMap map;
  map.description = fmt::format("{}: {} to {}", network, from, to);
  map.variables = Builder(before, after, background).Build();
  map.drop = before.others;
  const bool counted =
      std::any_of(before.layers.begin(), before.layers.end(),
                  [](const LayerNames& names) { return !names.counter.empty(); });
  constexpr std::string_view kCounters = "*.num_batches_tracked";
  if (counted) map.drop.emplace_back(kCounters);
  return map;
}

}  // namespace oriel::nets
