// Pages of other origins that may use the API (Fetch standard, section "CORS protocol").
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "serving/http/message.h"

namespace oriel::serving::http {

struct CorsPolicy {
  std::vector<std::string> origins;  // "https://shop.example", or "*"; empty: none

  bool Allows(std::string_view origin) const;
};

// kInvalidArgument for what is neither "*" nor scheme, host and perhaps port.
absl::Status CheckOrigin(std::string_view origin);

// Whether the request asks what a page may send, on behalf of a browser.
bool IsPreflight(const RequestHead& head);
// Its answer: 204.
Response AnswerPreflight(const CorsPolicy& policy, const RequestHead& head);

// What any answer says about the origin of its request; adds nothing while no origin is
// allowed.
void AddCorsHeaders(const CorsPolicy& policy, const RequestHead& head,
                    std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace oriel::serving::http
