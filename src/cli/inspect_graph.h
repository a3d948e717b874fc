// What `oriel inspect` says of a graph.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tensorflow/graph.pb.h"

namespace oriel::cli {

struct InspectGraphOptions {
  std::string path;                  // of the file
  std::string encoding;              // "binary GraphDef", "text GraphDef"
  std::vector<std::string> shapes;   // --shape
  std::vector<std::string> outputs;  // what to look at; empty: the graph's ends
  int batch = 1;
  bool all = false;   // every operation, not only those with parameters or multiply-adds
  bool dot = false;   // a drawing, nothing else
  bool json = false;  // one line
};

// Prints to stdout. Where shapes cannot be found out (operations that the engine does
// not have, sizes that nobody gives), what needs them is left out, and why is printed.
absl::Status InspectGraph(const tensorflow::GraphDef& graph,
                          const InspectGraphOptions& options);

}  // namespace oriel::cli
