#include <algorithm>

#include "checkpoint/name_map.h"
#include "nets/layer_names.h"
#include "nets/name_maps.h"
#include "nets/nets.h"

namespace oriel::nets {
namespace {

using checkpoint::NameMap;

// Averaged weights under the names of the plain ones; empty when there are none.
NameMap Averages(const VariableSource& checkpoint) {
  constexpr std::string_view kAverage = "/ExponentialMovingAverage";
  NameMap map;
  bool any = false;
  for (const VariableInfo& info : checkpoint.variables()) {
    if (info.name.ends_with(kAverage)) continue;
    const std::string average = fmt::format("{}{}", info.name, kAverage);
    const bool has = checkpoint.Find(average) != nullptr;
    any = any || has;
    map.variables.push_back({.to = info.name, .from = has ? average : info.name});
  }
  if (!any) map.variables.clear();
  return map;
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
  ASSIGN_OR_RETURN(const std::string_view naming, FindNaming(network, *checkpoint));
  const std::string_view own = NamingsOf(network)[0].name;
  NameMap map;
  if (naming == own) {
    if (network != "inception_resnet_v2") map = Averages(*checkpoint);
    if (map.variables.empty()) return checkpoint;
  } else {
    ASSIGN_OR_RETURN(
        map, BuildNameMap(network, naming, own, checkpoint.get(), Background::kKeep));
  }
  return checkpoint::MapVariables(std::move(checkpoint), map,
                                  {.drop_unmapped = true, .to_float32 = naming != own});
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
