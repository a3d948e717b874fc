// A request and its answer as handlers see them: no sockets, no Beast.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "serving/cancellation.h"
#include "serving/clock.h"
#include "serving/http/multipart.h"
#include "serving/inference_report.h"
#include "serving/priority.h"
#include "serving/trace_context.h"
#include "serving/upload_budget.h"

namespace oriel::serving::http {

enum class Method { kGet, kHead, kPost, kOther };

// Everything that stands before the body.
struct RequestHead {
  Method method = Method::kOther;
  std::string method_name;                                 // as sent
  std::string path;                                        // decoded, begins with '/'
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  // What stands for the {names} of the route's path, in their order.
  std::vector<std::string> path_parameters;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string id;                     // of the request, for logs and answers
  std::optional<TraceContext> trace;  // that the client sent
  // Who sent it: the name of the API key, else the address (ClientAddress).
  std::string client;
  // Came with an admin's key, or to administration's own address.
  bool is_admin = false;
  // From X-Request-Timeout-Ms and X-Request-Priority.
  std::optional<std::chrono::milliseconds> timeout;
  int priority = kDefaultPriority;

  // The header's first value; "" when there is none. Names ignore case.
  std::string_view Header(std::string_view name) const;
  bool HasHeader(std::string_view name) const;
  // Null when there is none.
  const std::string* Query(std::string_view name) const;
};

struct Request {
  RequestHead head;
  std::string body;                           // unless it was a form
  std::optional<std::vector<FormPart>> form;  // multipart/form-data
  Duration upload{};                          // from the first byte to the last
  TimePoint received{};                       // of the first byte
  TimePoint deadline = kNever;                // for the answer
  std::shared_ptr<Cancellation> cancellation;
};

struct Response {
  int status = 200;
  std::string content_type;
  std::string body;
  // Further ones; a later one replaces an earlier one of its name.
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<InferenceReport> inference;  // for the log
};

// Takes the answer of one request, once, from any thread. Dropped without an
// answer it sends one itself: 500. It holds the request's share of the upload
// budget, and gives it back before the client can know the answer: keep it as long
// as the request's bytes.
class Responder {
 public:
  using Sink = std::function<void(std::optional<Response>)>;  // nullopt: dropped
  explicit Responder(Sink sink, UploadLease lease = UploadLease())
      : sink_(std::move(sink)), lease_(std::move(lease)) {}
  Responder(Responder&& other) noexcept
      : sink_(std::exchange(other.sink_, nullptr)), lease_(std::move(other.lease_)) {}
  Responder& operator=(Responder&&) = delete;
  ~Responder() {
    if (sink_) Finish(std::nullopt);
  }
  void Send(Response response) && { Finish(std::move(response)); }

 private:
  void Finish(std::optional<Response> response) {
    { const UploadLease returned = std::move(lease_); }
    std::exchange(sink_, nullptr)(std::move(response));
  }

  Sink sink_;
  UploadLease lease_;
};

}  // namespace oriel::serving::http
