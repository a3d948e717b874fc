// The subcommands of `oriel`: one file each, one line each in main.cc's table.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/status.h"

namespace oriel::cli {

// What a subcommand does once its flags are parsed: the exit code, or an error
// that main prints (exit code 1, unless the command has another one). Flags that do not
// parse exit with 2.
using Action = std::function<absl::StatusOr<int>()>;

// Adds flags to its subcommand and returns the action that reads them. Flag
// values live in an object that the action owns (a shared_ptr captured by it). The
// subcommand outlives the action.
using Setup = Action (*)(CLI::App& command);

struct Command {
  const char* name;
  const char* summary;  // one line of `oriel --help`
  Setup setup;
  // Looks at Interrupted() while it works, and ends in order. The others are ended by
  // the signal itself.
  bool looks_at_interrupts = false;
  int error_code = 1;  // what it exits with on an error
};

}  // namespace oriel::cli
