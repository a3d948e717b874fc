// What an operation costs, by the mathematics alone.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

// Multiply-adds of a convolution or matrix product computed by direct sums, padding
// counted as if it were read; 0 for all other operations.
int64_t MultiplyAdds(const Ir& ir, const Op& op);

}  // namespace oriel::engine
