// inference.GRPCInferenceService: the Open Inference Protocol, version 2, with Triton's
// extensions (docs/grpc.md).
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "serving/grpc/context.h"
#include "serving/grpc/infer_stream.h"

namespace oriel::serving::grpc {

// `context` and `streams` outlive it.
std::unique_ptr<::grpc::Service> MakeOpenInferenceService(const Context& context,
                                                          InferStreams& streams);

}  // namespace oriel::serving::grpc
