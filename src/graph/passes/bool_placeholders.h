// Placeholders of bool that say whether a network trains: constants for inference.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::graph {

// Parts of names, and the value as text.
using BoolEntries = std::vector<std::pair<std::string, std::string>>;

// keras_learning_phase=False, and then "name=value" of `entries`, blanks around names
// dropped; a later value for a name wins. What has no '=' is left out.
BoolEntries ParseBoolEntries(const std::vector<std::string>& entries);

// Every Placeholder and PlaceholderWithDefault of bool whose name contains that of an
// entry (the first such entry counts) becomes a Const scalar of its value. TensorFlow's
// convert_placeholder_to_const: a value other than True, true, False, false means False,
// placeholders of other types stay; both with a warning. `warn` may be empty.
// Returns how many.
int ConvertBoolPlaceholders(tensorflow::GraphDef& graph, const BoolEntries& entries,
                            const std::function<void(const std::string&)>& warn);

// "The following input nodes were not found: {'a', 'b'}."
absl::Status InputsNotFound(const std::vector<std::string>& names);

}  // namespace oriel::graph
