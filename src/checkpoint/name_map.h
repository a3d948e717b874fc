// Name maps: which variable of one checkpoint becomes which variable of another, and
// what is done to its values on the way. docs/formats/name_map.md describes the file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/variable_source.h"

namespace oriel::checkpoint {

// Elements [start, stop) of a dimension; stop < 0 counts from its end, 0 is its end.
struct MapSlice {
  int axis = 0;
  int64_t start = 0;
  int64_t stop = 0;
  bool operator==(const MapSlice&) const = default;
};

// Multiplies by a vector of the old checkpoint, along a dimension of the new variable.
struct MapScale {
  std::string by;
  int axis = 0;
  bool operator==(const MapScale&) const = default;
};

// Adds elements of one value at the ends of a dimension.
struct MapPad {
  int axis = 0;
  int64_t before = 0;
  int64_t after = 0;
  float value = 0;
  bool operator==(const MapPad&) const = default;
};

// A variable of one value, in the shape of a variable of the old checkpoint or, when
// that is "", in one of its own.
struct MapFill {
  double value = 0;  // one that the dtype has
  std::string shape_of;
  Shape shape;
  DType dtype = DType::kFloat32;
  bool operator==(const MapFill&) const = default;
};

// One variable of the new checkpoint, and what it is made of: in this order, `from`
// with its dimensions in the order `axes`, a slice of that, scaled, padded.
struct MapEntry {
  std::string to;
  std::string from;  // "": made of nothing, see `fill`
  // Dimension d of the new variable is dimension axes[d] of the old one; empty: as is.
  std::vector<int> axes;
  std::optional<MapSlice> slice;
  std::optional<MapScale> scale;
  std::optional<MapPad> pad;
  std::optional<MapFill> fill;  // without `from`

  bool operator==(const MapEntry&) const = default;
};

struct NameMap {
  std::string description;
  std::vector<MapEntry> variables;
  // Variables of the old checkpoint that nothing is made of: names, in which '*' stands
  // for any text.
  std::vector<std::string> drop;

  bool operator==(const NameMap&) const = default;
};

// `what` names the source in messages. kInvalidArgument for what is no map: no JSON,
// unknown keys, values that do not fit, two entries for one name.
absl::StatusOr<NameMap> ParseNameMap(std::string_view text, std::string_view what);
absl::StatusOr<NameMap> ReadNameMap(const std::filesystem::path& path);
std::string FormatNameMap(const NameMap& map);

// Whether `name` is what `pattern` stands for; '*' in it stands for any text.
bool MatchesPattern(std::string_view name, std::string_view pattern);

struct MapOptions {
  // Leave out variables whose sources the checkpoint lacks.
  bool allow_missing = false;
  // Variables of the checkpoint that nothing is made of are left out silently.
  bool drop_unmapped = false;
  std::vector<std::string> drop;  // besides the map's
  // Floating-point variables become float32.
  bool to_float32 = false;
};

// `base` under the names of the map. Variables are made when they are read; only
// float32, and types that become it, are scaled or padded (the result is float32).
// kNotFound: a variable is to be made of one that the checkpoint lacks;
// kInvalidArgument: shapes do not fit an entry, or variables of the checkpoint are
// neither used nor dropped.
absl::StatusOr<std::shared_ptr<const VariableSource>> MapVariables(
    std::shared_ptr<const VariableSource> base, const NameMap& map,
    const MapOptions& options = {});

}  // namespace oriel::checkpoint
