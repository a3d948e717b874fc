#include "cli/dataset_images.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/files.h"
#include "base/utf8.h"
#include "cli/image_inputs.h"
#include "labels/labels.h"

namespace oriel::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostClasses = 1 << 20;

// Where an image lies below what the command line named.
std::string RelativeTo(const std::string& named, const std::string& path) {
  std::error_code error;
  if (named == "-") return "stdin";
  if (!fs::is_directory(named, error)) return fs::path(path).filename().string();
  return fs::path(path).lexically_relative(named).string();
}

// The folder that gives an image its class; "" where there is none.
std::string ClassFolder(const std::string& named, const std::string& relative) {
  std::error_code error;
  if (fs::is_directory(named, error)) {
    const size_t slash = relative.find('/');
    return slash == std::string::npos ? "" : relative.substr(0, slash);
  }
  const fs::path folder = fs::absolute(named, error).parent_path();
  return named == "-" || error ? "" : folder.filename().string();
}

// "7:name" or "name" of line `line`.
struct ClassLine {
  int64_t number;
  std::string name;
};
ClassLine ParseClassLine(const std::string& text, int64_t line) {
  const size_t colon = text.find(':');
  int64_t number = 0;
  const char* const end = text.data() + (colon == std::string::npos ? 0 : colon);
  const auto [next, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || next != end || number < 0) return {line, text};
  return {number, text.substr(colon + 1)};
}

absl::StatusOr<std::vector<std::string>> ReadClasses(const std::string& path) {
  // wnids.txt of a model, too: the background has an empty line.
  ASSIGN_OR_RETURN(const labels::Lines lines, labels::ReadWnids(path));
  std::vector<std::string> classes;
  std::set<std::string> seen;
  for (size_t i = 0; i < lines.size(); ++i) {
    ClassLine line = ParseClassLine(lines[i], static_cast<int64_t>(i));
    if (line.name.empty()) continue;
    if (line.number >= kMostClasses) {
      return InvalidArgument("{}: line {}: class {} is over {}", path, i + 1, line.number,
                             kMostClasses - 1);
    }
    if (!seen.insert(line.name).second) {
      return InvalidArgument("{}: line {}: class '{}' is there twice", path, i + 1,
                             line.name);
    }
    if (line.number >= static_cast<int64_t>(classes.size())) {
      classes.resize(line.number + 1);
    }
    if (!classes[line.number].empty()) {
      return InvalidArgument("{}: line {}: number {} is of class '{}' already", path,
                             i + 1, line.number, classes[line.number]);
    }
    classes[line.number] = std::move(line.name);
  }
  return classes;
}

absl::Status Number(Dataset& dataset, const LabelOptions& options) {
  if (options.file.empty()) {
    std::set<std::string> names;
    for (const DatasetImage& image : dataset.images) names.insert(image.class_name);
    dataset.classes.resize(options.offset);
    dataset.classes.insert(dataset.classes.end(), names.begin(), names.end());
  } else {
    ASSIGN_OR_RETURN(dataset.classes, ReadClasses(options.file));
  }
  std::map<std::string, int64_t> numbers;
  for (size_t i = 0; i < dataset.classes.size(); ++i) {
    if (!dataset.classes[i].empty())
      numbers[dataset.classes[i]] = static_cast<int64_t>(i);
  }
  for (DatasetImage& image : dataset.images) {
    const auto found = numbers.find(image.class_name);
    if (found == numbers.end()) {
      return InvalidArgument("{}: {} names no class '{}'", Printable(image.input.name),
                             options.file, Printable(image.class_name));
    }
    image.label = found->second;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> CollectDataset(const std::vector<std::string>& names,
                                       const LabelOptions& options) {
  Dataset dataset;
  for (const std::string& name : names) {
    for (model::ImageInput& input : CollectInputs({name})) {
      DatasetImage image;
      image.relative = RelativeTo(name, input.name);
      if (options.from_folders) {
        image.class_name = ClassFolder(name, image.relative);
        if (image.class_name.empty()) {
          return InvalidArgument("{}: is in no folder of {} that names its class",
                                 Printable(input.name), Printable(name));
        }
      }
      image.input = std::move(input);
      dataset.images.push_back(std::move(image));
    }
  }
  if (options.from_folders) RETURN_IF_ERROR(Number(dataset, options));
  return dataset;
}

std::string FormatClasses(const std::vector<std::string>& classes) {
  std::string text;
  for (size_t i = 0; i < classes.size(); ++i) {
    if (!classes[i].empty()) text += fmt::format("{}:{}\n", i, classes[i]);
  }
  return text;
}

}  // namespace oriel::cli
