// Protobuf messages from and to what gRPC carries.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "base/status.h"

namespace oriel::serving::grpc {

// Takes `wire`, compressed by gzip or deflate or not. kInvalidArgument for what is no
// message of that type, or would take more than some twice `max_bytes` in memory.
absl::Status ParseMessage(::grpc::ByteBuffer wire, uint64_t max_bytes,
                          google::protobuf::Message& message);

::grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

}  // namespace oriel::serving::grpc
