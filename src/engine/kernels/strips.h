// Matrix products of pixels at even distances by packed panels: what strips of the
// KernelTable compute.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kernels/panels.h"

namespace oriel::engine::kernels {

// [pixels, k] by [k, channels], panel by panel. Immutable, thread-safe.
class StripProduct {
 public:
  // Each pixel has its k floats in `segments` runs of equal length. `pixels`: how many
  // are computed at a time, mostly; `panel_threads`: how many share the panels.
  StripProduct(int64_t k, int segments, int64_t channels, int64_t pixels,
               int panel_threads, const KernelTable& table);

  const Panels& panels() const { return panels_; }
  int64_t count() const { return panels_.count(); }
  // Of the panel, or, of the panel behind the last one, the width of all.
  int64_t first_channel(int64_t panel) const { return first_channels_[panel]; }
  int64_t packed_floats() const;

  // From [k,channels] and a bias [channels] that may be empty.
  void Pack(std::span<const float> weights, std::span<const float> bias,
            float* packed) const;

  // One panel of the pixels that `strip` describes, whose dst and residual begin at
  // channel `origin`; weights, bias and channels are filled in here. `whole`: there is
  // room for all of the last panel.
  void Run(const float* packed, int64_t panel, bool whole, int64_t origin,
           StripArgs strip) const;

 private:
  const KernelTable& table_;
  int64_t k_, channels_;
  int segments_;
  Panels panels_;
  std::vector<int64_t> first_channels_;  // by panel, and of all
};

}  // namespace oriel::engine::kernels
