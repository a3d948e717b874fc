// The largest numbers: TopKV2 over the last axis, ArgMax and ArgMin over any.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

// Outputs: values and int32 indices [..., k], largest first, equal ones by index.
struct TopKAttrs : OpAttrs {
  int64_t k = 0;
};

// Output: the first index, int32 or int64.
struct ArgMostAttrs : OpAttrs {
  int axis = 0;
  bool least = false;
};

}  // namespace oriel::engine
