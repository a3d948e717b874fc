// Where objects are on images, by the names of their files.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "preprocessing/distorted_box.h"

namespace oriel::preprocessing {

// By file name, without folders.
using ObjectBoxes = std::unordered_map<std::string, std::vector<RelativeBox>>;

// Lines "NAME,xmin,ymin,xmax,ymax" with fractions of width and height, as slim's
// process_bounding_boxes.py writes them for ImageNet; a file may have several. Empty
// lines do not count. kInvalidArgument that names the line.
absl::StatusOr<ObjectBoxes> ParseObjectBoxes(std::string_view text,
                                             std::string_view what);
absl::StatusOr<ObjectBoxes> ReadObjectBoxes(const std::string& path);

}  // namespace oriel::preprocessing
