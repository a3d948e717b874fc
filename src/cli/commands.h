// One setup function for each subcommand, each in the file of its name.
#pragma once

#include "cli/command.h"

namespace oriel::cli {

Action SetupApiKey(CLI::App& command);
Action SetupBench(CLI::App& command);
Action SetupCalibrate(CLI::App& command);
Action SetupClassify(CLI::App& command);
Action SetupConvertCheckpoint(CLI::App& command);
Action SetupDiff(CLI::App& command);
Action SetupExport(CLI::App& command);
Action SetupExportInferenceGraph(CLI::App& command);
Action SetupFreezeGraph(CLI::App& command);
Action SetupInspect(CLI::App& command);
Action SetupMergeLabels(CLI::App& command);
Action SetupOps(CLI::App& command);
Action SetupOptimizeForInference(CLI::App& command);
Action SetupPreprocess(CLI::App& command);
Action SetupRun(CLI::App& command);
Action SetupServe(CLI::App& command);
Action SetupTune(CLI::App& command);
Action SetupVersion(CLI::App& command);

}  // namespace oriel::cli
