// Mean, Sum, Max, Min, Prod, All, Any over axes.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

enum class ReduceKind { kMean, kSum, kMax, kMin, kProd, kAll, kAny };

struct ReduceAttrs : OpAttrs {
  ReduceKind kind = ReduceKind::kMean;
  Shape kept;     // the input's shape with 1 for the axes that are summed over
  Shape reduced;  // ... with 1 for the others
};

}  // namespace oriel::engine
