#include "nets/layer_names.h"

#include <algorithm>

#include "checkpoint/hdf5.h"
#include "nets/names.h"
#include "nets/nets.h"

namespace oriel::nets {
namespace {

std::span<const NamingRow> RowsOf(std::string_view network) {
  return network == "inception_resnet_v2" ? InceptionNamings()
                                          : EfficientNetLiteNamings(network.back() - '0');
}

}  // namespace

std::vector<Naming> NamingsOf(std::string_view network) {
  std::vector<Naming> namings;
  for (const NamingRow& row : RowsOf(network)) namings.push_back(row.naming);
  return namings;
}

absl::StatusOr<std::string_view> FindNaming(std::string_view network,
                                            const VariableSource& checkpoint) {
  std::string tried;
  for (const NamingRow& row : RowsOf(network)) {
    // '*': numbers that differ from one checkpoint to the next.
    const size_t star = row.mark.find('*');
    const auto fits = [&](const VariableInfo& info) {
      return star == row.mark.npos ? info.name == row.mark
                                   : info.name.starts_with(row.mark.substr(0, star)) &&
                                         info.name.ends_with(row.mark.substr(star + 1));
    };
    const auto& all = checkpoint.variables();
    if (std::any_of(all.begin(), all.end(), fits)) return row.naming.name;
    tried +=
        fmt::format("{}{} ('{}')", tried.empty() ? "" : ", ", row.naming.title, row.mark);
  }
  // Layers of an .h5 file are found by their order, not by their names.
  if (network == "inception_resnet_v2" && !checkpoint::KerasLayers(checkpoint).empty()) {
    return "keras";
  }
  return NotFound(
      "the checkpoint ({}, {} tensors) is not one of {}: it has none of the names of {}",
      checkpoint.format(), checkpoint.variables().size(), network, tried);
}

absl::StatusOr<NamedLayers> LayersByName(std::string_view network,
                                         std::string_view naming,
                                         const VariableSource* checkpoint) {
  if (network == "inception_resnet_v2") return InceptionLayers(naming, checkpoint);
  return EfficientNetLiteLayers(network.back() - '0', naming);
}

}  // namespace oriel::nets
