// Flags that choose how a network is run, the same in every subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/plan.h"

namespace oriel::cli {

// As the flags below take them.
std::string BackendName(engine::Backend backend);
std::string PrecisionName(engine::Precision precision);

// --backend onednn|reference.
CLI::Option* AddBackendOption(CLI::App& command, engine::Backend& backend);

// --precision f32|f32-exact.
CLI::Option* AddPrecisionOption(CLI::App& command, engine::Precision& precision);

// --threads N of one run; 0: all CPUs that the process may use.
CLI::Option* AddThreadsOption(CLI::App& command, int& threads);

}  // namespace oriel::cli
