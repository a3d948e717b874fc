#include "serving/http/problem.h"

#include <spdlog/spdlog.h>

#include "image/decode.h"
#include "serving/http/header_value.h"
#include "serving/http/json.h"
#include "serving/http/web.h"

namespace oriel::serving::http {
namespace {

const char* RetryAfter(int status) {
  switch (status) {
    case 429:
      return "1";
    case 503:
      return "2";
    default:
      return nullptr;
  }
}

}  // namespace

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 304:
      return "Not Modified";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

Problem ProblemFrom(const absl::Status& status) {
  const auto with = [&](int code) { return Problem{code, std::string(Message(status))}; };
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return with(400);
    case absl::StatusCode::kUnauthenticated:
      return with(401);
    case absl::StatusCode::kPermissionDenied:
      return with(403);
    case absl::StatusCode::kNotFound:
      return with(404);
    case absl::StatusCode::kResourceExhausted:
      return with(429);
    case absl::StatusCode::kCancelled:
      return with(499);
    case absl::StatusCode::kUnimplemented:
      return with(501);
    case absl::StatusCode::kUnavailable:
      return with(503);
    case absl::StatusCode::kDeadlineExceeded:
      return with(504);
    default:
      spdlog::error("internal error: {}", status.ToString());
      return {500, "something went wrong in the server; its log says what"};
  }
}

Problem ImageProblem(const absl::Status& status, Bytes image) {
  if (image.empty()) return {400, "the file is empty"};
  if (absl::IsInvalidArgument(status) &&
      image::SniffFormat(image) == image::Format::kUnknown) {
    return {415, "not an image that Oriel reads: it takes JPEG, PNG, WebP, GIF and BMP"};
  }
  return ProblemFrom(status);
}

bool WantsHtml(const RequestHead& head, Audience audience) {
  const std::string_view accept = head.Header("accept");
  const bool html = ListHolds(accept, "text/html");
  const bool json = ListHolds(accept, "application/json");
  if (html != json) return html;
  return audience == Audience::kPerson;
}

Response ErrorResponse(const Problem& problem, const RequestHead& head, Audience audience,
                       const Web& web) {
  Response response;
  response.status = problem.status;
  if (WantsHtml(head, audience)) {
    response.content_type = "text/html; charset=utf-8";
    response.body = web.RenderError(problem.status, ReasonPhrase(problem.status),
                                    problem.reason, head.id);
  } else {
    JsonWriter json;
    json.BeginObject();
    json.Key("error").String(problem.reason);
    json.Key("status").Integer(problem.status);
    json.Key("request_id").String(head.id);
    json.EndObject();
    response.content_type = "application/json";
    response.body = std::move(json).Take();
  }
  if (const char* seconds = RetryAfter(problem.status)) {
    response.headers.emplace_back("Retry-After", seconds);
  }
  // Later ones replace those of the same name.
  response.headers.insert(response.headers.end(), problem.headers.begin(),
                          problem.headers.end());
  return response;
}

}  // namespace oriel::serving::http
