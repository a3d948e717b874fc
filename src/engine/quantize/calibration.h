// What a network's quantization is made of: the ranges of its values and what was
// measured beside them on sample inputs. `oriel calibrate` makes it.
#pragma once

#include <map>
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

// How far the quantized network is from the float32 one, on the sample inputs.
struct Agreement {
  int activation_bits = 8;  // 8, or 7: the largest quantized number is 2^bits - 1
  int images = 0;
  double top1 = 0;  // part of the images whose highest score is of the same class
  // Of the differences between the logits, in units of the standard deviation of all
  // the float32 ones.
  double logits_rms = 0;
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
  std::vector<Agreement> agreements;  // at most one for each activation_bits

  // nullptr: not measured.
  const Agreement* FindAgreement(int activation_bits) const {
    for (const Agreement& agreement : agreements) {
      if (agreement.activation_bits == activation_bits) return &agreement;
    }
    return nullptr;
  }
};

// The top-1 agreement that makes int8 good enough for Precision::kAuto.
inline constexpr double kDefaultGuard = 0.99;

struct PrecisionChoice {
  Precision precision = Precision::kF32;
  std::string reason;  // for people, with the numbers
};

// What Precision::kAuto stands for here: int8 where the calibration (may be null) has a
// measured agreement of at least `guard` and this machine has kernels that make it worth
// it, else f32.
PrecisionChoice ChoosePrecision(const Calibration* calibration,
                                double guard = kDefaultGuard);
// The same on a machine whose kernels want `activation_bits`; 0: it has none for int8.
PrecisionChoice ChoosePrecision(const Calibration* calibration, double guard,
                                int activation_bits);

}  // namespace oriel::engine
