#include "serving/grpc/call_log.h"

#include "serving/access_log.h"
#include "serving/grpc/admission.h"

namespace oriel::serving::grpc {

CallLog::CallLog(const Context& context, ::grpc::CallbackServerContext& call,
                 const char* method, Protocol protocol, uint64_t bytes_in, bool announce)
    : context_(context),
      method_(method),
      protocol_(protocol),
      bytes_in_(bytes_in),
      started_(context.clock.Now()),
      id_(fmt::format("{}-{:x}", context.request_prefix, ++context.requests)),
      client_(ClientOf(context, call)),
      trace_(ParseTraceparent(Metadata(call, "traceparent"))) {
  if (announce) call.AddTrailingMetadata("x-request-id", id_);
}

void CallLog::Record(const ::grpc::Status& status, uint64_t bytes_out, bool is_probe,
                     const std::optional<InferenceReport>& report) const {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string status_name = absl::StatusCodeToString(code);
  AccessRecord record;
  record.metrics.protocol = protocol_ == Protocol::kOpenInference
                                ? "open_inference_grpc"
                                : "tensorflow_serving_grpc";
  record.metrics.route = method_;
  record.metrics.status = status_name;
  record.metrics.duration = context_.clock.Now() - started_;
  record.metrics.bytes_in = bytes_in_;
  record.metrics.bytes_out = bytes_out;
  record.method = "gRPC";
  record.path = method_;
  record.request_id = id_;
  record.client = client_;
  record.trace = trace_;
  record.is_probe = is_probe;
  record.inference = report;
  RecordAccess(context_.metrics, record);
}

}  // namespace oriel::serving::grpc
