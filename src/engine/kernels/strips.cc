#include "engine/kernels/strips.h"

#include <algorithm>

#include "base/bytes.h"

namespace oriel::engine::kernels {

StripProduct::StripProduct(int64_t k, int segments, int64_t channels, int64_t pixels,
                           int panel_threads, const KernelTable& table)
    : table_(table), k_(k), channels_(channels), segments_(segments) {
  // As many panels as threads share evenly, if there are any.
  const Products products{.positions = pixels, .k = k, .channels = channels};
  const auto tilings = RankTilings(products, panel_threads, table);
  const auto shared = std::ranges::find_if(
      tilings, [&](const Tiling& t) { return t.grid.panels == panel_threads; });
  panels_ = (shared == tilings.end() ? tilings.front() : *shared).panels;
  int64_t channel = 0;
  for (const int vectors : panels_.vectors) {
    first_channels_.push_back(channel);
    channel += int64_t{vectors} * panels_.lanes;
  }
  first_channels_.push_back(channel);
}

int64_t StripProduct::packed_floats() const {
  return RoundUp(panels_.width() * (1 + k_), 16);
}

void StripProduct::Pack(std::span<const float> weights, std::span<const float> bias,
                        float* packed) const {
  std::fill_n(packed, packed_floats(), 0.0f);
  std::copy(bias.begin(), bias.end(), packed);
  PackPanels(panels_, k_, channels_, weights.data(), packed + panels_.width());
}

void StripProduct::Run(const float* packed, int64_t panel, bool whole, int64_t origin,
                       StripArgs strip) const {
  const int64_t channel = first_channels_[panel];
  const int64_t width = first_channels_[panel + 1] - channel;
  strip.num_segments = segments_;
  strip.count = static_cast<int>(k_ / segments_);
  strip.weights = packed + panels_.width() + channel * k_;
  strip.bias = packed + channel;
  strip.dst += channel - origin;
  if (strip.residual != nullptr) strip.residual += channel - origin;
  strip.channels = static_cast<int>(whole ? width : std::min(width, channels_ - channel));
  table_.strip[panels_.vectors[panel]](strip);
}

}  // namespace oriel::engine::kernels
