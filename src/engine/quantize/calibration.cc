#include "engine/quantize/calibration.h"

#include <fmt/format.h>

#include "engine/bf16/bf16.h"
#include "engine/quantize/quantize.h"

namespace oriel::engine {
namespace {

struct Verdict {
  bool accepted = false;
  std::string text;
};

Verdict Judge(std::string_view precision, const Agreement& agreement, double guard) {
  if (agreement.images < kLeastGuardImages) {
    return {false, fmt::format("{} was measured on {} images, want {} or more", precision,
                               agreement.images, kLeastGuardImages)};
  }
  return {agreement.top1 >= guard,
          fmt::format("{} agrees with f32 on {:.1f} % of {} images (guard {:.1f} %)",
                      precision, agreement.top1 * 100, agreement.images, guard * 100)};
}

Verdict JudgeInt8(const Calibration& calibration, double guard, int activation_bits) {
  if (activation_bits == 0) return {false, "no fast int8 kernels on this machine"};
  const Int8Agreement* agreement = calibration.FindAgreement(activation_bits);
  if (agreement == nullptr) {
    return {false, fmt::format("int8 was not measured with activations of {} bits",
                               activation_bits)};
  }
  return Judge("int8", *agreement, guard);
}

Verdict JudgeBf16(const Calibration& calibration, double guard) {
  if (!calibration.bf16) return {false, "bf16 was not measured"};
  return Judge("bf16", *calibration.bf16, guard);
}

}  // namespace

PrecisionChoice ChoosePrecision(const Calibration* calibration, double guard,
                                const FastPrecisions& machine) {
  if (calibration == nullptr) {
    return {Precision::kF32, "f32: no calibration for int8 or bf16"};
  }
  const Verdict int8 = JudgeInt8(*calibration, guard, machine.int8_activation_bits);
  if (!machine.bf16) {
    if (int8.accepted) return {Precision::kInt8, "int8: " + int8.text};
    return {Precision::kF32, "f32: " + int8.text};
  }
  const Verdict bf16 = JudgeBf16(*calibration, guard);
  if (bf16.accepted && !int8.accepted) {
    return {Precision::kBf16, fmt::format("bf16: {}; {}", bf16.text, int8.text)};
  }
  // By their peaks, not measured: in a cycle of a core AMX multiplies 512 pairs of
  // bfloat16, VNNI, which our kernels for int8 use, 128 pairs of bytes.
  if (bf16.accepted && machine.bf16_tiles) {
    return {
        Precision::kBf16,
        fmt::format("bf16: {}; AMX has a higher peak in it than our int8", bf16.text)};
  }
  if (int8.accepted) return {Precision::kInt8, "int8: " + int8.text};
  return {Precision::kF32, fmt::format("f32: {}; {}", int8.text, bf16.text)};
}

FastPrecisions FindFastPrecisions() {
  return {.int8_activation_bits = HasFastInt8() ? FastInt8ActivationBits() : 0,
          .bf16 = HasFastBf16(),
          .bf16_tiles = FindBf16Support() == Bf16Support::kTiles};
}

}  // namespace oriel::engine
