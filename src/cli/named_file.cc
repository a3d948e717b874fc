#include "cli/named_file.h"

namespace oriel::cli {

absl::StatusOr<NamedFile> ParseNamedFile(const std::string& text, const char* flag,
                                         const std::vector<std::string>& defaults) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos) {
    return NamedFile{text.substr(0, equals), text.substr(equals + 1)};
  }
  if (defaults.size() == 1) return NamedFile{defaults[0], text};
  return InvalidArgument("{} {}: say which tensor, NAME=FILE{}{}", flag, text,
                         defaults.empty() ? "" : "; the graph has ",
                         fmt::join(defaults, ", "));
}

}  // namespace oriel::cli
