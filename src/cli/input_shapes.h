// The shapes of a graph's inputs, from the graph and from flags.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tensor/shape.h"
#include "tensorflow/graph.pb.h"

namespace oriel::cli {

// By input; -1 stands for the batch.
using InputShapes = std::vector<std::pair<std::string, Shape>>;

// --shape NAME=Nx299x299x3, any number of times.
void AddShapeOption(CLI::App& command, std::vector<std::string>& shapes);

// kInvalidArgument for a flag that cannot be read or names no node of the graph.
absl::Status CheckShapeFlags(const std::vector<std::string>& flags,
                             const tensorflow::GraphDef& graph);

// What `flags` say, then what the graph says of those of `inputs` (placeholders) that
// they do not name. kInvalidArgument for a flag that cannot be read, and for an input of
// which more than the first size is unknown.
absl::StatusOr<InputShapes> FindInputShapes(const std::vector<std::string>& flags,
                                            const tensorflow::GraphDef& graph,
                                            const std::vector<std::string>& inputs);

// With the batch put in.
InputShapes WithBatch(InputShapes shapes, int64_t batch);

}  // namespace oriel::cli
