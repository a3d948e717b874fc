#include "preprocessing/object_boxes.h"

#include <array>
#include <charconv>

#include "base/files.h"
#include "base/utf8.h"

namespace oriel::preprocessing {
namespace {

absl::Status ParseLine(std::string_view line, ObjectBoxes& boxes) {
  // From the end: a name may have commas.
  std::array<float, 4> values;  // xmin, ymin, xmax, ymax
  for (int i = 3; i >= 0; --i) {
    const size_t comma = line.rfind(',');
    if (comma == std::string_view::npos) {
      return InvalidArgument("want NAME,xmin,ymin,xmax,ymax");
    }
    const std::string_view field = line.substr(comma + 1);
    const char* const end = field.data() + field.size();
    const auto [next, error] = std::from_chars(field.data(), end, values[i]);
    if (error != std::errc() || next != end || !(values[i] >= 0 && values[i] <= 1)) {
      return InvalidArgument("'{}' is no number in [0, 1]", Printable(field));
    }
    line = line.substr(0, comma);
  }
  if (line.empty()) return InvalidArgument("there is no file name");
  boxes[std::string(line)].push_back({values[1], values[0], values[3], values[2]});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ObjectBoxes> ParseObjectBoxes(std::string_view text,
                                             std::string_view what) {
  ObjectBoxes boxes;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    RETURN_IF_ERROR(
        Annotate(ParseLine(line, boxes), fmt::format("{}: line {}", what, number)));
  }
  return boxes;
}

absl::StatusOr<ObjectBoxes> ReadObjectBoxes(const std::string& path) {
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;  // ImageNet's has 30 million
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMostBytes));
  return ParseObjectBoxes(text, path);
}

}  // namespace oriel::preprocessing
