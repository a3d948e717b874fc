// oneDNN as a whole: its version, and the vector instructions that it may use.
#pragma once

#include <string>
#include <string_view>

#include "engine/bf16/bf16.h"

namespace oriel::engine::onednn {

// Lowers oneDNN's limit to MaxIsa() where ORIEL_MAX_ISA is set; at the least SSE4.1, as
// oneDNN has no lower. oneDNN's own ONEDNN_MAX_CPU_ISA goes before, so that the two can
// differ. Works only before oneDNN is first used: CpuEngine() calls it.
void LimitIsa();

// "2.6.3"
std::string LibraryVersion();

// What oneDNN may use, by its own names: "AVX2", "AVX512_CORE_VNNI"; "none" below
// SSE4.1 and on other architectures than x86-64.
std::string_view EffectiveIsa();

// By EffectiveIsa().
Bf16Support FindBf16Support();

}  // namespace oriel::engine::onednn
