// Protobuf messages from files of others: binary or text, bounded, with errors that say
// where.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace oriel::graph {

// Replaces `message` by what `bytes` hold: the binary form, or the text form when `text`.
// Bounds: 2 GiB (protobuf's own), nesting 100. kDataLoss that names `what`, the kind of
// message, and the byte, or line and column, where reading ended. A field that the
// message does not have is an error in the text form, as for TensorFlow's tools, except
// within those messages that proto/ keeps opaque (they have no fields).
absl::Status ParseMessage(Bytes bytes, std::string_view what, bool text,
                          google::protobuf::Message& message);

// The same for the bytes of a file.
absl::Status ReadMessage(const std::string& path, bool text,
                         google::protobuf::Message& message);

}  // namespace oriel::graph
