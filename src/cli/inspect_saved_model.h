// SavedModels for `oriel inspect`.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::cli {

// Whether the directory holds saved_model.pb or saved_model.pbtxt.
bool IsSavedModel(const std::string& directory);

struct SavedModelGraph {
  tensorflow::GraphDef graph;        // calls of functions inlined; no savers
  std::vector<std::string> outputs;  // tensors of the signature; empty: there is none
  std::string signature;             // its name
};

// What the signature "serving_default", else the first one, of the graph tagged "serve",
// else of the first one, computes: without a signature the whole graph. Errors are
// ReadMessage's and InlineFunctions'.
absl::StatusOr<SavedModelGraph> ReadSavedModelGraph(const std::string& directory);

}  // namespace oriel::cli
