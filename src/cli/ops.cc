// `oriel ops`: the operations that the engine runs, from its own table.

#include "engine/ops.h"

#include "cli/commands.h"

namespace oriel::cli {
namespace {

constexpr char kHeader[] =
    "# Supported operations\n"
    "\n"
    "Operations of TensorFlow that the engine runs, as `oriel ops` prints them from the\n"
    "engine's own table; a test holds this page to it. Beside them: `Placeholder` (what\n"
    "is fed), and calls of functions in the graph's library (`PartitionedCall`,\n"
    "`StatefulPartitionedCall`, a function's own name), which are inlined. Loops and\n"
    "branches (`While`, `If`, `Switch`) are not supported. What a graph has and the "
    "engine\n"
    "has not is listed all at once when it is compiled.\n"
    "\n"
    "*Kernel*: `fast` has kernels of oneDNN or our own beside the plain loops of the\n"
    "reference; `loops` has those alone; `-` leaves nothing to compute when the graph\n"
    "runs. *Folded*: computed when the graph is compiled if all inputs are constant; "
    "shapes\n"
    "that are fed count as constant. In the notes, \"constant\" is what is known so.\n"
    "\n"
    "| operation | kernel | folded | notes |\n"
    "|---|---|---|---|\n";

std::string_view KernelOf(const engine::OpType& op) {
  if (op.ref == nullptr) return "-";
  return op.onednn != nullptr ? "fast" : "loops";
}

}  // namespace

Action SetupOps(CLI::App&) {
  return []() -> absl::StatusOr<int> {
    fmt::print("{}", kHeader);
    for (const engine::OpType& op : engine::OpTable()) {
      fmt::print("| {} | {} | {} | {} |\n", op.name, KernelOf(op),
                 op.foldable || op.ref == nullptr ? "yes" : "no", op.limits);
    }
    return 0;
  };
}

}  // namespace oriel::cli
