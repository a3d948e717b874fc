// Functions of one number, alone as operations or at the end of another kernel.
#pragma once

namespace oriel::engine {

enum class UnaryKind {
  kAbs,
  kCeil,
  kElu,
  kErf,
  kErfc,
  kExp,
  kExpm1,
  kFloor,
  kHardSigmoid,  // relu6(x + 3) / 6; made by FuseOps
  kHardSwish,    // x * relu6(x + 3) / 6; made by FuseOps
  kLeakyRelu,
  kLog,
  kLog1p,
  kNeg,
  kReciprocal,
  kRelu,
  kRelu6,
  kRound,  // halves to even
  kRsqrt,
  kSelu,
  kSigmoid,
  kSign,
  kSoftplus,
  kSoftsign,
  kSqrt,
  kSquare,
  kSwish,  // x * sigmoid(x); made by FuseOps
  kTanh,
};

struct UnaryFunction {
  UnaryKind kind = UnaryKind::kRelu;
  float alpha = 0;  // kLeakyRelu: slope below zero
};

}  // namespace oriel::engine
