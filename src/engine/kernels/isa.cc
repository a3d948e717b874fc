#include "engine/kernels/isa.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

namespace oriel::engine {
namespace {

constexpr char kVariable[] = "ORIEL_MAX_ISA";

constexpr std::array kIsas = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni,
                              Isa::kAvx512Bf16};
constexpr std::array<std::string_view, kIsas.size()> kNames = {
    "scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16"};

// __builtin_cpu_supports looks at XCR0, too.
Isa AskCpu() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return Isa::kScalar;
  }
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return Isa::kAvx2;
  }
  if (!__builtin_cpu_supports("avx512vnni")) return Isa::kAvx512;
  return __builtin_cpu_supports("avx512bf16") ? Isa::kAvx512Bf16 : Isa::kAvx512Vnni;
#else
  return Isa::kScalar;
#endif
}

// nullopt: ORIEL_MAX_ISA is not set.
using Limit = absl::StatusOr<std::optional<Isa>>;

const Limit& IsaLimit() {
  static const Limit limit = []() -> Limit {
    const char* const name = std::getenv(kVariable);
    if (name == nullptr || *name == '\0') return std::nullopt;
    const absl::StatusOr<Isa> isa = ParseIsa(name);
    if (!isa.ok()) return Annotate(isa.status(), kVariable);
    return *isa;
  }();
  return limit;
}

}  // namespace

std::span<const Isa> AllIsas() { return kIsas; }

std::string_view IsaName(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

absl::StatusOr<Isa> ParseIsa(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) {
    return InvalidArgument("'{}' is none of {}", name, fmt::join(kNames, ", "));
  }
  return kIsas[found - kNames.begin()];
}

Isa CpuIsa() {
  static const Isa isa = AskCpu();
  return isa;
}

Isa MaxIsa() {
  static const Isa isa = IsaIsLimited() ? std::min(CpuIsa(), **IsaLimit()) : CpuIsa();
  return isa;
}

bool IsaIsLimited() { return IsaLimit().ok() && IsaLimit()->has_value(); }

absl::Status CheckIsaLimit() { return IsaLimit().status(); }

}  // namespace oriel::engine
