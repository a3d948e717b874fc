// Precision::kBf16: what it means, as a rewriting of a fused Ir, and its simulation in
// float32.
//
// Every image (a float32 value of rank 4) is rounded to bfloat16 (RoundToBf16) where it
// is stored: one that an operation computes after its epilogue, so that sum, bias,
// residual and activation are float32 until then; one that is fed or comes of a change
// of shape before it is first read. Convolutions and matrix products with constant
// weights ("products" below; not those of a transposed left matrix) multiply rounded
// weights and a rounded first input, whatever its rank, and take their sums in float32,
// directly (no Winograd). All else is float32: biases and other constants, values of
// other ranks such as the results of matrix products and softmax, and the outputs of the
// graph, which are float32 with the value that was stored.
//
// Instructions for bfloat16 may take denormal numbers, below 2^-126, for zero.
#pragma once

#include <string_view>

#include "engine/ir.h"

namespace oriel::engine {

// A convolution or a product of matrices that bf16 rounds the weights and the first
// input of.
bool IsBf16Product(const Ir& ir, const Op& op);

// Sets Value::bf16 of all that is stored rounded. Before a fed image is read, and before
// a product reads what is no image, an operation RoundToBf16 is put; the weights of
// products become constants of rounded float32 numbers, made only when a kernel asks
// for them.
void UseBf16(Ir& ir);

// Turns a marked Ir into a float32 one that gives the same numbers: an operation
// RoundToBf16 after each that computes a marked value, unless it only picks numbers that
// are rounded already. No value is marked afterwards.
void SimulateBf16(Ir& ir);

// x -> RoundToBf16(x) in any shape; an operation of the engine's own that no graph can
// name.
inline constexpr char kRoundToBf16[] = "RoundToBf16";

// What this machine has for bf16, as oneDNN may use it (ORIEL_MAX_ISA limits it too).
enum class Bf16Support {
  kNone,      // kBf16 is simulated in float32
  kEmulated,  // AVX-512: oneDNN stores bfloat16 and multiplies float32
  kVectors,   // AVX512_BF16
  kTiles,     // AMX
};
Bf16Support FindBf16Support();

// Whether kernels compute in bfloat16, so that it saves memory; else it is simulated.
inline bool HasBf16() { return FindBf16Support() != Bf16Support::kNone; }
// Whether this machine has arithmetic that makes bf16 worth it.
inline bool HasFastBf16() { return FindBf16Support() >= Bf16Support::kVectors; }

// For people who asked for bf16: that it is no faster here, and why. Empty where it is.
std::string_view Bf16Caveat();

}  // namespace oriel::engine
