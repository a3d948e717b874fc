#include "cli/graph_flags.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "base/utf8.h"

namespace oriel::cli {

namespace {

// Makes "true" or "false" of it; else what is wrong.
std::string ToBool(std::string& text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 6> kFalse = {"false", "f",   "no",
                                                      "n",     "off", "0"};
  const bool is_false = std::find(kFalse.begin(), kFalse.end(), lower) != kFalse.end();
  if (!is_false && lower != "true") {
    return fmt::format("'{}' is neither true nor false", text);
  }
  text = is_false ? "false" : "true";
  return "";
}

}  // namespace

std::string BothSpellings(std::string_view names) {
  std::string spellings;
  for (const std::string& name : SplitNames(names)) {
    std::string dashes = name;
    std::replace(dashes.begin(), dashes.end(), '_', '-');
    if (!spellings.empty()) spellings += ',';
    spellings += fmt::format("--{}", name);
    if (dashes != name) spellings += fmt::format(",--{}", dashes);
  }
  return spellings;
}

void AddBoolFlag(CLI::App& command, std::string_view names, bool& value,
                 const std::string& help) {
  // default_str is what a flag without a value means, so that the help has to show
  // the default by its text.
  command.add_option(BothSpellings(names), value, help)
      ->expected(0, 1)
      ->transform(CLI::Validator(ToBool, ""))
      ->default_str("true")
      ->take_last()
      ->option_text(value ? "BOOL [true]" : "BOOL [false]");
}

void AllowOtherWords(CLI::App& command) { command.allow_extras(); }

absl::Status CheckOtherWords(const CLI::App& command) {
  for (const std::string& word : command.remaining()) {
    const size_t name = word.find_first_not_of('-');
    if (name == 0) {
      fmt::print(stderr, "oriel {}: '{}' is not used\n", command.get_name(),
                 Printable(word));
    } else if (name != word.npos) {
      return InvalidArgument("Unknown command line flag '{}'",
                             word.substr(name, word.find('=') - name));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> SplitNames(std::string_view list) {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::vector<std::string> names;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    name.remove_prefix(std::min(name.find_first_not_of(kBlanks), name.size()));
    name = name.substr(0, name.find_last_not_of(kBlanks) + 1);
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

absl::Status CheckInputFile(std::string_view what, const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return absl::OkStatus();
  return NotFound("{} '{}' does not exist!", what, path);
}

}  // namespace oriel::cli
