// What a network's quantization is made of: the ranges of its values and what was
// measured beside them on sample inputs. `oriel calibrate` makes it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/plan.h"

namespace oriel::engine {

// The real numbers that a value is to represent. What lies outside is clipped.
struct ValueRange {
  float low = 0;
  float high = 0;

  bool operator==(const ValueRange&) const = default;
};

// How far the network of another precision is from the float32 one, on the sample
// inputs.
struct Agreement {
  int images = 0;
  double top1 = 0;  // part of the images whose highest score is of the same class
  // Of the differences between the logits, in units of the standard deviation of all
  // the float32 ones.
  double logits_rms = 0;
};

struct Int8Agreement : Agreement {
  int activation_bits = 8;  // 8, or 7: the largest quantized number is 2^bits - 1
};

// How much of the error one operation makes: Agreement::logits_rms with this operation
// alone quantized.
struct Sensitivity {
  std::string op;
  double logits_rms = 0;
};

struct Calibration {
  // By name of the value, in the graph as the engine fuses it: operations' first
  // inputs.
  std::map<std::string, ValueRange> ranges;
  // By name of the operation: what is added to each output channel before the residual
  // and the activation. Others have none.
  std::map<std::string, std::vector<float>> bias_corrections;
  // Operations that stay float32, by name.
  std::set<std::string> wider;

  // The most sensitive first. Only those that were measured.
  std::vector<Sensitivity> sensitivities;
  std::vector<Int8Agreement> agreements;  // at most one for each activation_bits
  std::optional<Agreement> bf16;          // of Precision::kBf16

  // nullptr: not measured.
  const Int8Agreement* FindAgreement(int activation_bits) const {
    for (const Int8Agreement& agreement : agreements) {
      if (agreement.activation_bits == activation_bits) return &agreement;
    }
    return nullptr;
  }
};

// The top-1 agreement that makes int8 or bf16 good enough for Precision::kAuto.
inline constexpr double kDefaultGuard = 0.99;
// On fewer images an agreement says nothing.
inline constexpr int kLeastGuardImages = 30;

struct PrecisionChoice {
  Precision precision = Precision::kF32;
  std::string reason;  // for people, with the numbers
};

// What a machine has that makes a precision worth it.
struct FastPrecisions {
  int int8_activation_bits = 0;  // that its kernels for int8 want; 0: it has none
  bool bf16 = false;             // AVX512_BF16 or AMX
  bool bf16_tiles = false;       // AMX
};

// Of this machine.
FastPrecisions FindFastPrecisions();

// What Precision::kAuto stands for: of the precisions that the machine is fast in and
// whose agreement the calibration (may be null) has measured to be at least `guard`,
// bf16 on a machine with tiles for it, else int8, else bf16; f32 where there is none.
PrecisionChoice ChoosePrecision(const Calibration* calibration,
                                double guard = kDefaultGuard,
                                const FastPrecisions& machine = FindFastPrecisions());

}  // namespace oriel::engine
