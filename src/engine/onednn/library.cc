#include "engine/onednn/library.h"

#include <fmt/format.h>

#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>

#include "engine/kernels/isa.h"
#include "engine/onednn/primitive_kernel.h"

namespace oriel::engine::onednn {
namespace {

dnnl::cpu_isa OneDnnIsa(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return dnnl::cpu_isa::sse41;
    case Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core;
    case Isa::kAvx512Vnni:
      return dnnl::cpu_isa::avx512_core_vnni;
    case Isa::kAvx512Bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
  }
  std::abort();
}

}  // namespace

void LimitIsa() {
  const bool own_limit = std::getenv("ONEDNN_MAX_CPU_ISA") != nullptr ||
                         std::getenv("DNNL_MAX_CPU_ISA") != nullptr;
  if (IsaIsLimited() && !own_limit) dnnl::set_max_cpu_isa(OneDnnIsa(MaxIsa()));
}

std::string LibraryVersion() {
  const dnnl_version_t& version = *dnnl::version();
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

std::string_view EffectiveIsa() {
  CpuEngine();  // the limit is set before oneDNN is asked
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::all:
      return "none";
    case dnnl::cpu_isa::sse41:
      return "SSE41";
    case dnnl::cpu_isa::avx:
      return "AVX";
    case dnnl::cpu_isa::avx2:
      return "AVX2";
    case dnnl::cpu_isa::avx512_mic:
      return "AVX512_MIC";
    case dnnl::cpu_isa::avx512_mic_4ops:
      return "AVX512_MIC_4OPS";
    case dnnl::cpu_isa::avx512_core:
      return "AVX512_CORE";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "AVX512_CORE_VNNI";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "AVX512_CORE_BF16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "AVX512_CORE_AMX";
    case dnnl::cpu_isa::avx2_vnni:
      return "AVX2_VNNI";
  }
  return "unknown";
}

Bf16Support FindBf16Support() {
  CpuEngine();  // the limit is set before oneDNN is asked
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core:
    case dnnl::cpu_isa::avx512_core_vnni:
      return Bf16Support::kEmulated;
    case dnnl::cpu_isa::avx512_core_bf16:
      return Bf16Support::kVectors;
    case dnnl::cpu_isa::avx512_core_amx:
      return Bf16Support::kTiles;
    default:
      return Bf16Support::kNone;
  }
}

}  // namespace oriel::engine::onednn
