// Which vector instructions our kernels and oneDNN's may use: the one place that asks
// the CPU, and the one limit on what it says.
//
// The environment variable ORIEL_MAX_ISA (scalar, avx2, avx512, avx512_vnni or
// avx512_bf16) lowers what is used, to test on one machine what others run. Read once.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"

namespace oriel::engine {

// Each has what those before it have, so that `MaxIsa() >= Isa::kAvx512` is the
// question to ask before code compiled for kAvx512 runs.
enum class Isa {
  kScalar,  // the baseline of the architecture: on x86-64 SSE2; all there is elsewhere
  kAvx2,    // AVX2, FMA
  kAvx512,  // AVX-512 F, BW, DQ, VL
  kAvx512Vnni,  // + AVX512_VNNI: vpdpbusd
  kAvx512Bf16,  // + AVX512_BF16: vdpbf16ps
};

// All, the least first.
std::span<const Isa> AllIsas();

// "avx2"
std::string_view IsaName(Isa isa);

// The reverse; kInvalidArgument lists the names.
absl::StatusOr<Isa> ParseIsa(std::string_view name);

// What the CPU has and the operating system saves at a thread switch.
Isa CpuIsa();

// What may be used: CpuIsa(), or ORIEL_MAX_ISA where that is less. A name in it that
// is none counts as not set; Plan::Compile refuses to go on then (CheckIsaLimit).
// Thread-safe, cheap.
Isa MaxIsa();

// Whether ORIEL_MAX_ISA is set, to a name that is one.
bool IsaIsLimited();

// kInvalidArgument when ORIEL_MAX_ISA is set to none of the names.
absl::Status CheckIsaLimit();

}  // namespace oriel::engine
