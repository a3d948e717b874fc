#include "engine/kernels/candidates.h"

#include <fmt/format.h>

#include <algorithm>

namespace oriel::engine::kernels {
namespace {

// What the model does not see costs Winograd's algorithm more than direct sums.
constexpr double kWinogradFactor = 1 / 0.9;
// The model is wrong by less, and a tuner's time is the user's.
constexpr double kWorthATry = 1.8;  // times the best
constexpr size_t kMaxCandidates = 12;
constexpr size_t kTilingsOfAKind = 6;

double Cycles(const ConvCandidate& candidate) {
  return candidate.tiling.cycles * (candidate.winograd ? kWinogradFactor : 1);
}

}  // namespace

std::string ConvCandidate::Name() const {
  return fmt::format("{} {}", winograd ? WinogradName(*winograd) : "direct",
                     tiling.ToString());
}

std::unique_ptr<Conv> ConvCandidate::Make(const ConvShape& shape,
                                          const KernelTable& table) const {
  return winograd ? MakeWinogradConv(shape, *winograd, tiling, table)
                  : MakeDirectConv(shape, tiling, table);
}

std::vector<ConvCandidate> ListCandidates(const ConvShape& shape, bool winograd,
                                          int threads, const KernelTable& table) {
  std::vector<ConvCandidate> candidates;
  const auto add = [&](std::optional<WinogradKind> kind, std::vector<Tiling> tilings) {
    tilings.resize(std::min(tilings.size(), kTilingsOfAKind));
    for (Tiling& tiling : tilings) candidates.push_back({kind, std::move(tiling)});
  };
  add(std::nullopt, DirectTilings(shape, threads, table));
  for (int i = 0; winograd && i < kWinogradKinds; ++i) {
    const auto kind = static_cast<WinogradKind>(i);
    if (IsWinograd(shape, kind)) {
      add(kind, WinogradTilings(shape, kind, threads, table));
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const ConvCandidate& a, const ConvCandidate& b) {
                     return Cycles(a) < Cycles(b);
                   });
  const double most = Cycles(candidates.front()) * kWorthATry;
  std::erase_if(candidates, [&](const ConvCandidate& c) { return Cycles(c) > most; });
  candidates.resize(std::min(candidates.size(), kMaxCandidates));
  return candidates;
}

std::string CandidatesKey(const ConvShape& s, bool residual, int threads) {
  return fmt::format(
      "conv {}x{}x{}x{}/{} {}x{}x{}/{}{} kernel {}x{} stride {}x{} dilation {}x{} pad "
      "{},{} threads {}",
      s.batch, s.src_h, s.src_w, s.src_c, s.src_pitch, s.dst_h, s.dst_w, s.dst_c,
      s.dst_pitch, residual ? "+" : "", s.kernel_h, s.kernel_w, s.stride_h, s.stride_w,
      s.dilation_h, s.dilation_w, s.pad_top, s.pad_left, threads);
}

}  // namespace oriel::engine::kernels
