#include "cli/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/files.h"
#include "base/utf8.h"

// Errors as values, and nothing to link.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace oriel::cli {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr char kFlagSource[] = "flag";

std::string KeyOf(const CLI::Option& option) {
  const auto& names = option.get_lnames();
  return names.empty() ? option.get_name(/*positional=*/true) : names[0];
}

bool TakesList(const CLI::Option& option) {
  return option.get_items_expected_max() > 1 ||
         option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

// What a TOML value is on the command line; nullopt: nothing.
std::optional<std::string> Argument(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) {
    return fmt::format("{}", number->get());
  }
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> Arguments(const toml::node& node, bool list) {
  std::vector<std::string> arguments;
  if (const auto argument = Argument(node)) return std::vector{*argument};
  if (node.is_table()) return InvalidArgument("sections are not known");
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    return InvalidArgument("want a string, a number or true or false");
  }
  if (!list) return InvalidArgument("want one value, not a list");
  for (const toml::node& item : *array) {
    auto argument = Argument(item);
    if (!argument.has_value()) {
      return InvalidArgument("want a list of strings and numbers");
    }
    arguments.push_back(*std::move(argument));
  }
  return arguments;
}

// As TOML writes a number or a truth value that reads back as the same text.
bool IsBare(std::string_view text) {
  if (text == "true" || text == "false") return true;
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t point = text.find('.');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.size() < 16 &&
           part.find_first_not_of("0123456789") == part.npos;
  };
  const std::string_view whole = text.substr(0, point);
  if (!digits(whole) || (whole.size() > 1 && whole[0] == '0')) return false;
  return point == text.npos || (digits(text.substr(point + 1)) && !text.ends_with('0'));
}

std::string Toml(std::string_view text) {
  if (IsBare(text)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string Toml(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    out += (out.empty() ? "" : ", ") + Toml(std::string_view(text));
  }
  return '[' + out + ']';
}

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  while (true) {
    const size_t comma = text.find(',');
    items.emplace_back(text.substr(0, comma));
    if (comma == text.npos) return items;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Settings::Settings(CLI::App& command, std::string environment_prefix)
    : command_(command), prefix_(std::move(environment_prefix)) {
  command.add_option("--config", file_,
                     fmt::format("File of settings (TOML); the environment has them too, "
                                 "as {}PORT=8000",
                                 prefix_));
  command.add_flag("--dry-run", dry_run_,
                   "Print the settings and where they came from, look at the models' "
                   "folders, and end");
}

std::map<std::string, CLI::Option*> Settings::Options() const {
  std::map<std::string, CLI::Option*> options;
  for (CLI::Option* option : command_.get_options()) {
    const std::string key = KeyOf(*option);
    if (key == "help" || key == "config" || key == "dry-run") continue;
    options.emplace(key, option);
  }
  return options;
}

std::string Settings::VariableOf(std::string_view key) const {
  std::string name = prefix_;
  for (const char c : key) {
    name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return name;
}

absl::Status Settings::Apply() {
  for (const auto& [key, option] : Options()) {
    if (option->count() > 0) sources_[option] = kFlagSource;
  }
  RETURN_IF_ERROR(ApplyEnvironment());
  return ApplyFile();
}

absl::Status Settings::Give(CLI::Option& option, const std::vector<std::string>& values,
                            const std::string& source) {
  if (sources_.contains(&option)) return absl::OkStatus();  // what wins has spoken
  try {
    for (const std::string& value : values) option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    return InvalidArgument("{}: {}", source, error.what());
  }
  sources_[&option] = source;
  return absl::OkStatus();
}

absl::Status Settings::ApplyEnvironment() {
  std::map<std::string, CLI::Option*> by_variable;
  for (const auto& [key, option] : Options()) by_variable[VariableOf(key)] = option;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    const std::string variable(text.substr(0, equals));
    if (equals == text.npos || !variable.starts_with(prefix_)) continue;
    const std::string value(text.substr(equals + 1));
    if (variable == VariableOf("config")) {
      if (file_.empty()) file_ = value;
      continue;
    }
    const auto found = by_variable.find(variable);
    if (found == by_variable.end()) {
      unknown_variables_.push_back(variable);
      continue;
    }
    if (value.empty()) continue;
    CLI::Option& option = *found->second;
    RETURN_IF_ERROR(Give(option,
                         TakesList(option) ? SplitList(value) : std::vector{value},
                         "environment, " + variable));
  }
  return absl::OkStatus();
}

absl::Status Settings::ApplyFile() {
  if (file_.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file_, kMaxFileBytes));
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return InvalidArgument("{}, line {}: {}", file_, parsed.error().source().begin.line,
                           parsed.error().description());
  }
  const auto options = Options();
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    const std::string source = fmt::format("{}, line {}", file_, key.source().begin.line);
    const auto found = options.find(name);
    if (found == options.end()) {
      return InvalidArgument("{}: no {} is called '{}'", source,
                             node.is_table() ? "section" : "setting", Printable(name));
    }
    CLI::Option& option = *found->second;
    auto arguments = Arguments(node, TakesList(option));
    if (!arguments.ok()) {
      return InvalidArgument("{}: {}: {}", source, name, Message(arguments.status()));
    }
    if (IsFlag(option) && !node.is_boolean()) {
      return InvalidArgument("{}: {}: want true or false", source, name);
    }
    RETURN_IF_ERROR(Give(option, *arguments, source));
  }
  return absl::OkStatus();
}

std::string Settings::Describe() const {
  std::string text =
      fmt::format("# The settings of `oriel {}`. As a file they are taken by --config.\n",
                  command_.get_name());
  for (CLI::Option* option : command_.get_options()) {
    const std::string key = KeyOf(*option);
    if (!Options().contains(key)) continue;
    const auto source = sources_.find(option);
    if (source == sources_.end()) {
      const std::string value = IsFlag(*option) ? "false" : option->get_default_str();
      text += value.empty() ? fmt::format("# {} is not set\n", key)
                            : fmt::format("{} = {}  # default\n", key, Toml(value));
      continue;
    }
    const auto& results = option->results();
    const bool list = TakesList(*option);
    text += fmt::format("{} = {}  # {}\n", key,
                        list ? Toml(results) : Toml(std::string_view(results.back())),
                        Printable(source->second));
  }
  return text;
}

}  // namespace oriel::cli
