// The ways to compute one convolution, for a choice by model or by measurement.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/kernels/conv.h"

namespace oriel::engine::kernels {

struct ConvCandidate {
  std::optional<WinogradKind> winograd;  // none: direct sums
  Tiling tiling;

  // Of this shape's candidates only this one has it: "direct 6x16 2x1 block 145".
  std::string Name() const;
  std::unique_ptr<Conv> Make(const ConvShape& shape, const KernelTable& table) const;
};

// Those worth a try, the one that ought to be fastest first; at least one.
std::vector<ConvCandidate> ListCandidates(const ConvShape& shape, bool winograd,
                                          int threads, const KernelTable& table);

// All that the speed of the candidates depends on besides the machine.
std::string CandidatesKey(const ConvShape& shape, bool residual, int threads);

}  // namespace oriel::engine::kernels
