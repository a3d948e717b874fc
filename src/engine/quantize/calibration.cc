#include "engine/quantize/calibration.h"

#include <fmt/format.h>

#include "engine/quantize/quantize.h"

namespace oriel::engine {

PrecisionChoice ChoosePrecision(const Calibration* calibration, double guard,
                                int activation_bits) {
  if (calibration == nullptr) {
    return {Precision::kF32, "f32: no calibration for int8"};
  }
  if (activation_bits == 0) {
    return {Precision::kF32, "f32: no fast int8 kernels on this machine"};
  }
  const Agreement* agreement = calibration->FindAgreement(activation_bits);
  if (agreement == nullptr) {
    return {Precision::kF32,
            fmt::format("f32: int8 was not measured with activations of {} bits",
                        activation_bits)};
  }
  const std::string measured =
      fmt::format("int8 agrees with f32 on {:.1f} % of {} images (guard {:.1f} %)",
                  agreement->top1 * 100, agreement->images, guard * 100);
  if (agreement->top1 < guard) return {Precision::kF32, "f32: " + measured};
  return {Precision::kInt8, "int8: " + measured};
}

PrecisionChoice ChoosePrecision(const Calibration* calibration, double guard) {
  return ChoosePrecision(calibration, guard,
                         HasFastInt8() ? FastInt8ActivationBits() : 0);
}

}  // namespace oriel::engine
