// Operations that scale and shift each channel by constants.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/ir.h"

namespace oriel::engine {

// dst = src * scale + shift, by the last dimension.
struct Affine {
  std::vector<float> scale;       // empty: 1
  std::vector<float> shift;       // empty: 0
  std::vector<std::string> keys;  // of the constants that it is made of
};

// What `op` does to its input `input`, of so many channels: batch norm with constant
// parameters; a sum, difference, product or quotient with a constant by channel or a
// constant number. nullopt for all else, and where the other side is broadcast wider.
std::optional<Affine> AffineOf(const Ir& ir, const Op& op, ValueId input);

}  // namespace oriel::engine
