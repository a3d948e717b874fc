// Several operations that are one, whatever a graph spells them with.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

// Names of operations that no graph has.
inline constexpr char kHardSigmoidOp[] = "HardSigmoid";
inline constexpr char kHardSwishOp[] = "HardSwish";
inline constexpr char kSwishOp[] = "Swish";
inline constexpr char kScaleShiftOp[] = "ScaleShift";

// - x * sigmoid(x), relu6(x + 3) / 6 and x * relu6(x + 3) / 6, in all their orders,
//   become one function,
// - zeros padded around an image go into the window of the convolution that reads it;
//   before a maximum pool, where the image has no numbers below zero.
// To the bit the same, but for the last multiplication of hard sigmoids. What nobody
// reads any more is removed.
void RewriteOps(Ir& ir);

// After FuseOps: what batch norms, and products and sums with a constant by channel, do
// to values that no convolution made becomes one operation, inputs: image, scale [C],
// shift [C]; the ReLU or ReLU6 after it is its epilogue.
void FuseScales(Ir& ir);

}  // namespace oriel::engine
