#include "serving/http/body_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/utf8.h"

namespace oriel::serving::http {
namespace {

// However much a client announces.
constexpr uint64_t kFirstReserve = 1 << 20;
constexpr std::string_view kForm = "multipart/form-data";

}  // namespace

BodySink::BodySink(Request& request, UploadLease& lease, uint64_t length,
                   uint64_t max_bytes)
    : request_(request), lease_(lease), length_(length), max_bytes_(max_bytes) {}

std::optional<Problem> BodySink::Begin() {
  const std::string_view type = request_.head.Header("content-type");
  if (ToLower(type.substr(0, kForm.size())) == kForm) {
    auto form = MultipartParser::Create(type);
    if (!form.ok()) return ProblemFrom(form.status());
    form_ = *std::move(form);
  } else {
    request_.body.reserve(std::min(length_, kFirstReserve));
  }
  const auto coding = ParseContentEncoding(request_.head.Header("content-encoding"));
  if (coding.value_or(ContentCoding::kIdentity) != ContentCoding::kIdentity) {
    decompressor_.emplace(*coding);
  }
  return std::nullopt;
}

std::optional<Problem> BodySink::Take(std::string_view bytes) {
  if (!decompressor_.has_value()) return Put(bytes);
  std::optional<Problem> problem;
  const absl::Status status = decompressor_->Feed(bytes, [&](std::string_view out) {
    decompressed_ += out.size();
    problem =
        decompressed_ > max_bytes_
            ? Problem{413, fmt::format("the upload holds more than {} bytes", max_bytes_)}
            : Put(out);
    return problem.has_value() ? ResourceExhausted("refused") : absl::OkStatus();
  });
  if (!problem.has_value() && !status.ok()) problem = ProblemFrom(status);
  return problem;
}

std::optional<Problem> BodySink::Put(std::string_view bytes) {
  if (!lease_.Grow(bytes.size())) {
    return Problem{429, "too many uploads at the same time"};
  }
  if (form_.has_value()) {
    const absl::Status status = form_->Feed(bytes);
    if (absl::IsResourceExhausted(status)) {
      return Problem{413, std::string(Message(status))};
    }
    if (!status.ok()) return ProblemFrom(status);
    return std::nullopt;
  }
  std::string& body = request_.body;
  if (body.capacity() - body.size() < bytes.size()) {
    body.reserve(std::max<uint64_t>(std::min<uint64_t>(length_, 2 * body.capacity()),
                                    body.size() + bytes.size()));
  }
  body += bytes;
  return std::nullopt;
}

std::optional<Problem> BodySink::Finish() {
  if (decompressor_.has_value()) {
    const absl::Status status = decompressor_->Finish();
    if (!status.ok()) return ProblemFrom(status);
  }
  if (form_.has_value()) {
    auto parts = std::move(*form_).Finish();
    if (!parts.ok()) return ProblemFrom(parts.status());
    request_.form = *std::move(parts);
  }
  return std::nullopt;
}

}  // namespace oriel::serving::http
