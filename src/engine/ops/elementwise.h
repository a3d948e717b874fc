// Functions of one and two numbers, element by element.
#pragma once

#include "engine/ir.h"

namespace oriel::engine {

struct UnaryAttrs : OpAttrs {
  UnaryFunction function;
};

enum class BinaryKind {
  // numbers
  kAdd,
  kSub,
  kMul,
  kDiv,       // of integers: towards zero
  kFloorDiv,  // towards minus infinity
  kFloorMod,
  kMax,
  kMin,
  kPow,
  kSquaredDifference,
  // bool
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kLogicalAnd,
  kLogicalOr,
};

constexpr bool IsComparison(BinaryKind kind) { return kind >= BinaryKind::kEqual; }

// Shapes broadcast as NumPy's. BiasAdd is an addition of [C]. An integer divided by
// zero gives 0.
struct BinaryAttrs : OpAttrs {
  BinaryKind kind = BinaryKind::kAdd;
};

}  // namespace oriel::engine
