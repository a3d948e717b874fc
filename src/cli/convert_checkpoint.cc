// `oriel convert-checkpoint`: one checkpoint as another, in format and in names.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "base/progress.h"
#include "base/utf8.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/name_map.h"
#include "checkpoint/save.h"
#include "cli/commands.h"
#include "nets/layer_names.h"
#include "nets/name_maps.h"
#include "nets/nets.h"

namespace oriel::cli {
namespace {

using checkpoint::Format;
using checkpoint::NameMap;

struct Flags {
  std::string input;
  std::string output;
  Format format = Format::kUnknown;  // by the output's name
  std::string map;
  nets::Background background = nets::Background::kKeep;
  checkpoint::MapOptions options;
  std::vector<std::string> metadata;
  bool list_maps = false;
  std::string print_map;
  bool quiet = false;
};

// What --map says when it names one of ours: NETWORK:FROM-to-TO, or NETWORK:TO, where
// FROM is found from the checkpoint.
struct MapName {
  std::string network;
  std::string from;
  std::string to;
};

std::optional<MapName> ParseMapName(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos || nets::FindNetwork(text.substr(0, colon)) == nullptr) {
    return std::nullopt;
  }
  constexpr std::string_view kTo = "-to-";
  const std::string_view names = text.substr(colon + 1);
  const size_t to = names.find(kTo);
  MapName name{.network = std::string(text.substr(0, colon))};
  if (to != names.npos) name.from = names.substr(0, to);
  name.to = names.substr(to == names.npos ? 0 : to + kTo.size());
  return name;
}

void ListMaps() {
  for (const nets::NetworkInfo& network : nets::Networks()) {
    fmt::print("{}\n", network.name);
    const std::vector<nets::Naming> namings = nets::NamingsOf(network.name);
    for (const nets::Naming& naming : namings) {
      fmt::print("  {:<11} {}\n", naming.name, naming.title);
    }
  }
  fmt::print(
      "\n--map NETWORK:FROM-to-TO goes from any of a network's names to any other;\n"
      "--map NETWORK:TO finds out which names the checkpoint has.\n");
}

absl::StatusOr<int> PrintMap(const Flags& flags) {
  const std::optional<MapName> name = ParseMapName(flags.print_map);
  if (!name || name->from.empty()) {
    return InvalidArgument(
        "--print-map {}: want NETWORK:FROM-to-TO; --list-maps lists "
        "what there is",
        Printable(flags.print_map));
  }
  ASSIGN_OR_RETURN(
      const NameMap map,
      nets::BuildNameMap(name->network, name->from, name->to, nullptr, flags.background));
  fmt::print("{}", checkpoint::FormatNameMap(map));
  return 0;
}

absl::StatusOr<NameMap> ChooseMap(const Flags& flags, const VariableSource& source) {
  const std::optional<MapName> name = ParseMapName(flags.map);
  if (!name) {
    if (flags.background != nets::Background::kKeep) {
      return InvalidArgument("--background goes with a network's own maps");
    }
    return checkpoint::ReadNameMap(flags.map);
  }
  std::string from = name->from;
  if (from.empty()) {
    const auto found = nets::FindNaming(name->network, source);
    if (!found.ok()) return Annotate(found.status(), flags.input);
    from = *found;
  }
  return nets::BuildNameMap(name->network, from, name->to, &source, flags.background);
}

// The same names: for formats alone.
NameMap Identity(const VariableSource& source) {
  NameMap map;
  for (const VariableInfo& info : source.variables()) {
    map.variables.push_back({.to = info.name, .from = info.name});
  }
  return map;
}

// Without variables that --drop names, even those that the map makes something of.
void RemoveDropped(const std::vector<std::string>& drop, NameMap& map) {
  std::erase_if(map.variables, [&](const checkpoint::MapEntry& entry) {
    return std::any_of(drop.begin(), drop.end(), [&](const std::string& pattern) {
      return checkpoint::MatchesPattern(entry.from, pattern);
    });
  });
}

absl::StatusOr<std::map<std::string, std::string>> ParseMetadata(const Flags& flags) {
  std::map<std::string, std::string> metadata;
  for (const std::string& pair : flags.metadata) {
    const size_t equals = pair.find('=');
    if (equals == pair.npos || equals == 0 || FindInvalidUtf8(pair)) {
      return InvalidArgument("--metadata {}: want KEY=VALUE", Printable(pair));
    }
    metadata[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return metadata;
}

// By --to, else by the name's ending; not where the name promises what nobody writes.
absl::StatusOr<Format> OutputFormat(const Flags& flags) {
  Format format = flags.format;
  if (format == Format::kUnknown) {
    for (const char* ending : {".h5", ".hdf5", ".keras", ".pth", ".pt", ".bin", ".npz"}) {
      if (!flags.output.ends_with(ending)) continue;
      return InvalidArgument(
          "{}: {} files are not written; --to tensorflow-v2, safetensors or "
          "tensorflow-v1 if the name is meant",
          flags.output, ending);
    }
    format = flags.output.ends_with(".safetensors") ? Format::kSafetensors
                                                    : Format::kTensorFlowV2;
  }
  if (!flags.metadata.empty() && format != Format::kSafetensors) {
    return InvalidArgument("--metadata goes into the header of safetensors only");
  }
  std::error_code error;
  if (std::filesystem::is_directory(flags.output, error)) {
    return InvalidArgument("{}: is a directory, want a file's name", flags.output);
  }
  return format;
}

uint64_t TotalBytes(const VariableSource& source) {
  uint64_t bytes = 0;
  for (const VariableInfo& info : source.variables()) {
    bytes += static_cast<uint64_t>(info.shape.elements()) * ElementSize(info.dtype);
  }
  return bytes;
}

std::string_view FormatTitle(Format format) {
  switch (format) {
    case Format::kTensorFlowV1:
      return "TensorFlow V1 checkpoint";
    case Format::kSafetensors:
      return "safetensors";
    default:
      return "TensorFlow V2 checkpoint";
  }
}

absl::StatusOr<int> Convert(const Flags& flags) {
  if (flags.input.empty() || flags.output.empty()) {
    return InvalidArgument("INPUT and OUTPUT are wanted; --help tells more");
  }
  checkpoint::SaveOptions save;
  ASSIGN_OR_RETURN(save.metadata, ParseMetadata(flags));
  ASSIGN_OR_RETURN(const Format format, OutputFormat(flags));
  ASSIGN_OR_RETURN(auto source, checkpoint::Open(flags.input));
  const size_t before = source->variables().size();
  const std::string_view input_format = source->format();
  NameMap map;
  if (flags.map.empty()) {
    map = Identity(*source);
  } else {
    ASSIGN_OR_RETURN(map, ChooseMap(flags, *source));
  }
  RemoveDropped(flags.options.drop, map);
  auto mapped = checkpoint::MapVariables(std::move(source), map, flags.options);
  if (!mapped.ok()) return Annotate(mapped.status(), flags.input);

  const uint64_t bytes = TotalBytes(**mapped);
  const auto begin = std::chrono::steady_clock::now();
  {
    Progress progress("converting", ProgressUnit::kBytes, bytes, flags.quiet);
    save.progress = &progress;
    const absl::Status saved = checkpoint::Save(format, flags.output, **mapped, save);
    if (absl::IsCancelled(saved)) return saved;
    if (!saved.ok()) return Annotate(saved, flags.output);
    progress.Finish();
  }
  if (flags.quiet) return 0;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  fmt::print("{}: {}, {} variables\n", flags.input, input_format, before);
  fmt::print("{}: {}, {} variables, {} in {}\n", flags.output, FormatTitle(format),
             (*mapped)->variables().size(), FormatBytes(bytes),
             FormatDuration(elapsed.count()));
  return 0;
}

absl::StatusOr<int> Run(const Flags& flags) {
  if (flags.list_maps) {
    ListMaps();
    return 0;
  }
  return flags.print_map.empty() ? Convert(flags) : PrintMap(flags);
}

// A flag whose text is one of the names.
template <typename T>
void AddChoice(CLI::App& command, const char* flag, T& value,
               const std::map<std::string, T>& choices, const std::string& help) {
  std::vector<std::string> names;
  for (const auto& [name, choice] : choices) names.push_back(name);
  command
      .add_option_function<std::string>(
          flag, [&value, choices](const std::string& name) { value = choices.at(name); },
          help)
      ->check(CLI::IsMember(names).description(""))
      ->take_last();
}

}  // namespace

Action SetupConvertCheckpoint(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command.add_option(
      "INPUT", flags->input,
      "A checkpoint: TensorFlow V1 or V2, PyTorch, safetensors, Keras .h5");
  command.add_option("OUTPUT", flags->output,
                     "File to write; of a TensorFlow V2 checkpoint the prefix");
  AddChoice<Format>(
      command, "--to", flags->format,
      {{"tensorflow-v2", Format::kTensorFlowV2},
       {"safetensors", Format::kSafetensors},
       {"tensorflow-v1", Format::kTensorFlowV1}},
      "Format to write: tensorflow-v2, safetensors or tensorflow-v1; without "
      "it safetensors where OUTPUT ends in .safetensors, else tensorflow-v2");
  command.add_option("--map", flags->map,
                     "New names: a name map's file, NETWORK:FROM-to-TO or NETWORK:TO "
                     "(see --list-maps); without it names stay");
  AddChoice<nets::Background>(
      command, "--background", flags->background,
      {{"keep", nets::Background::kKeep},
       {"drop", nets::Background::kDrop},
       {"add", nets::Background::kAdd}},
      "Class 0 of TensorFlow's ImageNet weights: keep it or its absence, drop "
      "it (1001 classes to 1000), add it (1000 to 1001)");
  command.add_option("--drop", flags->options.drop,
                     "Leave out variables of this name; '*' stands for any text. May be "
                     "given again");
  command.add_flag("--drop-unmapped", flags->options.drop_unmapped,
                   "Leave out all variables that the map does not name");
  command.add_flag("--allow-missing", flags->options.allow_missing,
                   "Leave out variables of the map that INPUT has not");
  command.add_flag("--float32", flags->options.to_float32,
                   "Make all floating-point variables float32");
  command.add_option("--metadata", flags->metadata,
                     "KEY=VALUE for the header of safetensors. May be given again");
  command.add_flag("--list-maps", flags->list_maps,
                   "List the names that networks' variables go by");
  command.add_option("--print-map", flags->print_map,
                     "Print NETWORK:FROM-to-TO as a name map's file");
  command.add_flag("--quiet", flags->quiet, "Print nothing but errors");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
