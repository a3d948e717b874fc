// What is told of a call when it ends: a line of the access log, its share of the
// metrics, and its id to the client.
#pragma once

#include <grpcpp/server_context.h>

#include <optional>
#include <string>

#include "serving/grpc/context.h"
#include "serving/grpc/status.h"
#include "serving/inference_report.h"
#include "serving/trace_context.h"

namespace oriel::serving::grpc {

// One for each call, and for each message of a stream.
class CallLog {
 public:
  // `method`: "/inference.GRPCInferenceService/ModelInfer", lives for ever. Names the id
  // in the call's trailing metadata, x-request-id, where `announce`.
  CallLog(const Context& context, ::grpc::CallbackServerContext& call, const char* method,
          Protocol protocol, uint64_t bytes_in, bool announce = true);

  void Record(const ::grpc::Status& status, uint64_t bytes_out, bool is_probe = false,
              const std::optional<InferenceReport>& report = std::nullopt) const;

 private:
  const Context& context_;
  const char* const method_;
  const Protocol protocol_;
  const uint64_t bytes_in_;
  const TimePoint started_;
  const std::string id_;
  const std::string client_;
  const std::optional<TraceContext> trace_;
};

}  // namespace oriel::serving::grpc
