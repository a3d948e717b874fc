// The images of a data set that a command line names: where they lie, what they are of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/classify_images.h"

namespace oriel::cli {

struct DatasetImage {
  model::ImageInput input;
  // The path below the folder that was named, or the name of the file that was.
  std::string relative;
  int64_t label = -1;      // -1: none
  std::string class_name;  // with a label
};

struct Dataset {
  std::vector<DatasetImage> images;  // in the order of CollectInputs
  // Of all labels, by their number; empty without labels. Numbers that no class has are
  // empty strings.
  std::vector<std::string> classes;
};

struct LabelOptions {
  // The class of an image is the first folder below the one that was named, of a file
  // that was named the folder that it is in.
  bool from_folders = false;
  // Classes by number: a line each, "name" or slim's "number:name". Empty: the names of
  // the folders in the order of their bytes, as Keras and slim number them.
  std::string file;
  int64_t offset = 0;  // added to numbers that are not from a file
};

// kInvalidArgument for an image without a class, or of one that the file does not name.
absl::StatusOr<Dataset> CollectDataset(const std::vector<std::string>& names,
                                       const LabelOptions& options);

// "number:name" lines, as slim's labels.txt has them.
std::string FormatClasses(const std::vector<std::string>& classes);

}  // namespace oriel::cli
