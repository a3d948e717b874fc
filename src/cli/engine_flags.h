// Flags that choose how a network is run, the same in every subcommand.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/plan.h"
#include "engine/quantize/calibration.h"
#include "model/model_graph.h"

namespace oriel::cli {

// As the flags below take them.
std::string BackendName(engine::Backend backend);
// The name, or the reason where the program chose.
std::string DescribePrecision(const engine::PrecisionChoice& choice);

// Says on stderr what a person who asked for this precision ought to know of the machine.
void WarnOfPrecision(engine::Precision precision);

// --backend onednn|reference.
CLI::Option* AddBackendOption(CLI::App& command, engine::Backend& backend);

// --precision f32|f32-exact|bf16|int8|auto.
CLI::Option* AddPrecisionOption(CLI::App& command, engine::Precision& precision);

// The model that a subcommand works on: its name or directory, and --model-dir.
void AddModelOptions(CLI::App& command, std::string& model, std::string& model_dir);

// --plan-cache auto|off|DIR.
CLI::Option* AddPlanCacheOption(CLI::App& command, model::PlanCacheOptions& options);

// --threads N of one run; 0: all CPUs that the process may use.
CLI::Option* AddThreadsOption(CLI::App& command, int& threads);

}  // namespace oriel::cli
