// What a protobuf message would take in memory, told from its bytes before anything is
// allocated for it: two bytes on the wire can be a hundred in memory.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstdint>

#include "base/status.h"

namespace oriel::serving::grpc {

// Bytes that parsing `wire` as a `type` allocates, or somewhat more. Reads tags alone:
// what has a length is skipped, but for messages. kInvalidArgument for what is no such
// message, and as soon as it is seen to take more than `max_bytes`.
absl::StatusOr<uint64_t> MessageCost(const google::protobuf::Descriptor& type,
                                     google::protobuf::io::ZeroCopyInputStream& wire,
                                     uint64_t max_bytes);

}  // namespace oriel::serving::grpc
