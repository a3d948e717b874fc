// Errors as gRPC tells them.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace oriel::serving::grpc {

// Whose habits an answer follows.
enum class Protocol { kOpenInference, kTensorFlowServing };

// The same code and message, but: what is our own fault (kInternal and the like) stays
// in the log; a full queue is RESOURCE_EXHAUSTED in TensorFlow Serving and UNAVAILABLE
// in Triton.
::grpc::Status ToGrpc(const absl::Status& status, Protocol protocol);

}  // namespace oriel::serving::grpc
