// Flags of a command that may come from elsewhere: the environment, and a file.
//
// A setting is any flag (or list of positional arguments) of the command. It goes by the
// flag's name: --max-body-mb is `max-body-mb` in the file and PREFIX_MAX_BODY_MB in the
// environment. A flag wins over the environment, the environment over the file, the file
// over the default.
//
// The file is TOML (https://toml.io): a key for each setting. Lists are arrays there, and
// separated by commas in the environment; an empty variable counts as none.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace oriel::cli {

class Settings {
 public:
  // Adds --config and --dry-run; call it when the command has all its flags. The command
  // outlives it. `environment_prefix`: "ORIEL_SERVE_".
  Settings(CLI::App& command, std::string environment_prefix);
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  // Once, when the flags are parsed: gives what they left open. Errors name file and
  // line, or the variable.
  absl::Status Apply();

  bool dry_run() const { return dry_run_; }
  // The file that gives what is in force now, with where it came from.
  std::string Describe() const;
  // Variables with the prefix that are no setting: a slip, or somebody else's.
  const std::vector<std::string>& unknown_variables() const { return unknown_variables_; }

 private:
  // Of each setting, by its key.
  std::map<std::string, CLI::Option*> Options() const;
  std::string VariableOf(std::string_view key) const;
  absl::Status ApplyEnvironment();
  absl::Status ApplyFile();
  absl::Status Give(CLI::Option& option, const std::vector<std::string>& values,
                    const std::string& source);

  CLI::App& command_;
  const std::string prefix_;
  std::string file_;
  bool dry_run_ = false;
  std::map<const CLI::Option*, std::string> sources_;  // of those that were given
  std::vector<std::string> unknown_variables_;
};

}  // namespace oriel::cli
