// Flags in the manner of TensorFlow's tools: --output_node_names and
// --output-node-names are the same flag, lists are separated by commas, booleans
// take --flag, --flag=true, --flag false. A flag that is given twice has its last value.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/status.h"

namespace oriel::cli {

// "--input_graph,--input-graph" from "input_graph". Other names of the same flag follow
// after commas: "new_name,old_name".
std::string BothSpellings(std::string_view names);

// `value` holds the default. Text may be empty: --flag=.
template <typename T>
void AddFlag(CLI::App& command, std::string_view names, T& value,
             const std::string& help) {
  CLI::Option* const option =
      command.add_option(BothSpellings(names), value, help)->capture_default_str();
  if constexpr (std::is_same_v<T, std::string>) {
    // default_str is what an empty text would become.
    option->expected(0, 1)->default_str("")->option_text(
        value.empty() ? std::string("TEXT") : "TEXT [" + value + "]");
  }
  option->take_last();
}

// Takes "true" and "false" in any case. The original tools take every text but "true" for
// false: no, off and 0 do so here too, texts that mean the contrary are refused.
void AddBoolFlag(CLI::App& command, std::string_view names, bool& value,
                 const std::string& help);

// What is on the command line and no flag of the command, as the original tools take it
// (which leave it to Abseil's flags): an unknown flag is an error of exit code 1,
// "Unknown command line flag '...'"; other words are not used, a note on stderr says so.
void AllowOtherWords(CLI::App& command);
absl::Status CheckOtherWords(const CLI::App& command);

// "a, b,c" -> {"a", "b", "c"}; blanks around names and empty names are dropped.
std::vector<std::string> SplitNames(std::string_view list);

// The original tools' text: "<what> '<path>' does not exist!".
absl::Status CheckInputFile(std::string_view what, const std::string& path);

}  // namespace oriel::cli
