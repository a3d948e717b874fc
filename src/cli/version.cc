// `oriel version`: of Oriel and of oneDNN, and the vector instructions that they use.

#include "cli/commands.h"
#include "engine/kernels/isa.h"
#include "engine/onednn/library.h"

namespace oriel::cli {

Action SetupVersion(CLI::App&) {
  return []() -> absl::StatusOr<int> {
    RETURN_IF_ERROR(engine::CheckIsaLimit());
    fmt::print("oriel {}\n", ORIEL_VERSION);
    fmt::print("instructions: {}", engine::IsaName(engine::MaxIsa()));
    if (engine::IsaIsLimited()) {
      fmt::print(" by ORIEL_MAX_ISA, the CPU has {}", engine::IsaName(engine::CpuIsa()));
    }
    fmt::print("\noneDNN {}: {}\n", engine::onednn::LibraryVersion(),
               engine::onednn::EffectiveIsa());
    return 0;
  };
}

}  // namespace oriel::cli
