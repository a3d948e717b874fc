// A SavedModel from arbitrary bytes: its graphs with what their savers and initializers
// put into the variables, frozen. What comes out must be well formed.

#include <cstdlib>

#include "fuzz/zeros.h"
#include "graph/freeze.h"
#include "graph/graph_variables.h"
#include "graph/inline_functions.h"
#include "graph/proto_file.h"
#include "graph/saved_model.h"
#include "graph/unread_writes.h"
#include "graph/validate.h"

namespace {

void Freeze(const tensorflow::MetaGraphDef& meta_graph,
            const oriel::graph::Restoring& restoring) {
  using namespace oriel::graph;
  const tensorflow::GraphDef& graph = meta_graph.graph_def();
  const auto variables =
      GraphVariables::Create(graph, std::make_shared<oriel::Zeros>(graph), restoring);
  if (!variables.ok()) return;
  const std::string& last = graph.node(graph.node_size() - 1).name();
  auto frozen = FreezeGraph(graph, **variables, {.output_node_names = {last}});
  if (frozen.ok() && !ValidateGraph(*frozen).ok()) std::abort();
  tensorflow::GraphDef forgetful = graph;
  if (!ForgetUnreadWrites(forgetful).ok()) return;
  frozen = FreezeGraph(forgetful, **variables, {.output_node_names = {last}});
  if (frozen.ok() && !ValidateGraph(*frozen).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oriel::graph;
  if (size == 0) return 0;
  // The first byte chooses between the binary and the text form.
  tensorflow::SavedModel model;
  const bool text = (data[0] & 1) != 0;
  if (!ParseMessage({data + 1, size - 1}, "fuzz", text, model).ok()) return 0;
  auto found = FindMetaGraph(model, {"serve"});
  if (!found.ok()) return 0;
  if (found->has_object_graph_def()) {
    auto inlined = InlineFunctions(found->graph_def(), /*max_bytes=*/16 << 20);
    if (!inlined.ok()) return 0;
    *found->mutable_graph_def() = *std::move(inlined);
  }
  if (found->graph_def().node_size() == 0) return 0;
  Restoring restoring;
  restoring.max_constant_bytes = 1 << 20;
  Freeze(*found, restoring);
  restoring.initializer_nodes = {InitNode(*found)};
  Freeze(*found, restoring);
  restoring.saver = found->saver_def();
  Freeze(*found, restoring);
  return 0;
}
