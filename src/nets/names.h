// The namings of each family of networks: one file each.
#pragma once

#include <span>

#include "nets/layer_names.h"

namespace oriel::nets {

// A naming, and a variable that tells it from the others.
struct NamingRow {
  Naming naming;
  std::string_view mark;
};

std::span<const NamingRow> InceptionNamings();
absl::StatusOr<NamedLayers> InceptionLayers(std::string_view naming,
                                            const VariableSource* checkpoint);

std::span<const NamingRow> EfficientNetLiteNamings(int version);
NamedLayers EfficientNetLiteLayers(int version, std::string_view naming);

}  // namespace oriel::nets
