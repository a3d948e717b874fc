// Fusion on the Ir, whatever tools the graph went through before.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

// Takes what follows a convolution or a matrix product with constant weights into it, as
// long as nothing else reads the values between (an output does):
// - batch norm, sums and products with a constant per channel or a constant
//   number: into weights and bias,
// - the sum with a second value: as residual,
// - an activation.
// Before it RewriteOps, after it FuseScales (rewrite.h). The new constants are made only
// when a kernel asks for them.
void FuseOps(Ir& ir);

}  // namespace oriel::engine
