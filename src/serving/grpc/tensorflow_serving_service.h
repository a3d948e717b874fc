// tensorflow.serving.PredictionService and ModelService (docs/grpc.md).
#pragma once

#include <grpcpp/impl/service_type.h>

#include <memory>

#include "serving/grpc/context.h"

namespace oriel::serving::grpc {

// `context` outlives them.
std::unique_ptr<::grpc::Service> MakePredictionService(const Context& context);
std::unique_ptr<::grpc::Service> MakeModelService(const Context& context);

}  // namespace oriel::serving::grpc
