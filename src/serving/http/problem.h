// Errors as HTTP tells them: status, a reason for people, when to try again.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "serving/http/message.h"
#include "serving/http/router.h"

namespace oriel::serving::http {

class Web;

struct Problem {
  int status = 500;
  std::string reason;  // holds nothing that the client must not see
  std::vector<std::pair<std::string, std::string>> headers = {};  // of the answer
};

// "Too Many Requests".
std::string_view ReasonPhrase(int status);

// The one place that maps absl codes to HTTP. The text of errors that are ours
// (500) stays in the log.
Problem ProblemFrom(const absl::Status& status);

// Why an image was not classified: 415 for bytes of no known format, 400 for a
// known one that is broken, the rest as ProblemFrom.
Problem ImageProblem(const absl::Status& status, Bytes image);

// Whether an error is to be a page, by what the client accepts and whom the route is for.
bool WantsHtml(const RequestHead& head, Audience audience);

// JSON {"error", "status", "request_id"} or a page, by what the client accepts and
// whom the route is for; Retry-After with 429 and 503. `head` may be half filled.
Response ErrorResponse(const Problem& problem, const RequestHead& head, Audience audience,
                       const Web& web);

}  // namespace oriel::serving::http
