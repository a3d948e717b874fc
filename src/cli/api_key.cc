// `oriel api-key`: makes a key for the server's API.

#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "base/files.h"
#include "cli/commands.h"
#include "serving/api_keys.h"

namespace oriel::cli {
namespace {

struct Flags {
  std::string name;
  std::string scope = "use";
  std::string file;
};

// The file with one line more, for its owner alone.
absl::Status Append(const std::string& path, const std::string& line) {
  std::string text;
  auto old = ReadFile(path);
  if (old.ok()) {
    text = *std::move(old);
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
  } else if (!absl::IsNotFound(old.status())) {
    return old.status();
  }
  text += line + "\n";
  if (auto keys = serving::ApiKeys::Parse(text); !keys.ok()) {
    return Annotate(keys.status(), path);
  }
  ::umask(077);
  return WriteFileAtomically(path, text);
}

absl::StatusOr<int> Run(const Flags& flags) {
  serving::Access scope = serving::Access::kUse;
  for (const auto access : {serving::Access::kMetrics, serving::Access::kAdmin}) {
    if (flags.scope == serving::AccessName(access)) scope = access;
  }
  const std::string key = serving::NewApiKey();
  const std::string line = serving::ApiKeyLine(scope, flags.name, key);
  RETURN_IF_ERROR(serving::ApiKeys::Parse(line).status());
  if (!flags.file.empty()) RETURN_IF_ERROR(Append(flags.file, line));
  // The key goes where it can be piped to, what belongs to the server elsewhere.
  fmt::print("{}\n", key);
  if (flags.file.empty()) {
    fmt::print(stderr, "A line for the file of `oriel serve --api-keys`:\n{}\n", line);
  } else {
    fmt::print(stderr, "{} knows it as '{}'. It cannot be shown again.\n", flags.file,
               flags.name);
  }
  return 0;
}

}  // namespace

Action SetupApiKey(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command
      .add_option("name", flags->name, "Whose key it is: for the log and for rate limits")
      ->required();
  command
      .add_option("--scope", flags->scope,
                  "What it opens: use, metrics, or admin (everything)")
      ->check(CLI::IsMember({"use", "metrics", "admin"}))
      ->capture_default_str();
  command.add_option("--file", flags->file,
                     "Add it to this file of `oriel serve --api-keys`");
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
