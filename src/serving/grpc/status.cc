#include "serving/grpc/status.h"

#include <spdlog/spdlog.h>

#include <string>

namespace oriel::serving::grpc {

::grpc::Status ToGrpc(const absl::Status& status, Protocol protocol) {
  const auto with = [&](::grpc::StatusCode code) {
    return ::grpc::Status(code, std::string(Message(status)));
  };
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ::grpc::Status::OK;
    case absl::StatusCode::kResourceExhausted:
      return with(protocol == Protocol::kOpenInference
                      ? ::grpc::StatusCode::UNAVAILABLE
                      : ::grpc::StatusCode::RESOURCE_EXHAUSTED);
    case absl::StatusCode::kOutOfRange:
      return with(::grpc::StatusCode::INVALID_ARGUMENT);
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return with(static_cast<::grpc::StatusCode>(status.raw_code()));
    default:
      spdlog::error("internal error: {}", status.ToString());
      return {::grpc::StatusCode::INTERNAL,
              "something went wrong in the server; its log says what"};
  }
}

}  // namespace oriel::serving::grpc
