// MetaGraphDefs: graphs with what their savers know of them, alone or in a SavedModel.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "tensorflow/meta_graph.pb.h"

namespace oriel::graph {

// Bounds and errors are ParseMessage's (graph/proto_file.h).
absl::StatusOr<tensorflow::MetaGraphDef> ReadMetaGraphDef(const std::string& path,
                                                          bool text);

// The MetaGraphDef of a SavedModel whose tags are just `tags`, in any order; of several
// the first, as in TensorFlow. kNotFound, with TensorFlow's text, lists the tags that
// there are.
absl::StatusOr<tensorflow::MetaGraphDef> FindMetaGraph(
    tensorflow::SavedModel model, const std::vector<std::string>& tags);

// The same from a SavedModel's directory: saved_model.pb, else saved_model.pbtxt.
// kNotFound, with TensorFlow's text, when there is neither.
absl::StatusOr<tensorflow::MetaGraphDef> ReadSavedModel(
    const std::string& directory, const std::vector<std::string>& tags);

// The MetaGraphDef that is tagged "serve" alone, else the first one.
absl::StatusOr<tensorflow::MetaGraphDef> ReadDefaultSavedModel(
    const std::string& directory);

// The prefix of the checkpoint in a SavedModel's directory.
std::string SavedModelVariables(const std::string& directory);

// The node that a SavedModel's loader runs once the variables are restored; "" for none.
std::string InitNode(const tensorflow::MetaGraphDef& meta_graph);

}  // namespace oriel::graph
