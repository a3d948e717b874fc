// Flags that give a file for a tensor.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace oriel::cli {

// A flag's value: [NAME=]FILE.
struct NamedFile {
  std::string name;  // of a tensor
  std::string file;
};

// `defaults` are the names that a FILE alone may stand for: there has to be one.
absl::StatusOr<NamedFile> ParseNamedFile(const std::string& text, const char* flag,
                                         const std::vector<std::string>& defaults);

}  // namespace oriel::cli
