// Images that a command line names.
#pragma once

#include <string>
#include <vector>

#include "model/classify_images.h"

namespace oriel::cli {

// Files as they are named, folders with all images below in the order of their paths,
// "-" for stdin. What cannot be listed is an input that fails.
std::vector<model::ImageInput> CollectInputs(const std::vector<std::string>& names);

}  // namespace oriel::cli
