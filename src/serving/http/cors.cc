#include "serving/http/cors.h"

#include <algorithm>
#include <boost/url/parse.hpp>

namespace oriel::serving::http {
namespace {

constexpr char kMethods[] = "GET, HEAD, POST";
constexpr char kRequestHeaders[] =
    "Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, "
    "X-API-Key, X-Request-Id, traceparent";
constexpr char kAnswerHeaders[] =
    "Inference-Header-Content-Length, Retry-After, X-Request-Id";
constexpr char kMaxAge[] = "600";  // seconds

}  // namespace

bool CorsPolicy::Allows(std::string_view origin) const {
  return !origin.empty() &&
         std::any_of(origins.begin(), origins.end(), [&](const std::string& allowed) {
           return allowed == "*" || allowed == origin;
         });
}

absl::Status CheckOrigin(std::string_view origin) {
  if (origin == "*") return absl::OkStatus();
  const auto url = boost::urls::parse_uri({origin.data(), origin.size()});
  if (!url.has_value() || (url->scheme() != "http" && url->scheme() != "https") ||
      url->encoded_host().empty() || url->has_userinfo() ||
      !url->encoded_path().empty() || url->has_query() || url->has_fragment()) {
    return InvalidArgument("origin '{}': want one such as https://shop.example, or '*'",
                           origin);
  }
  return absl::OkStatus();
}

bool IsPreflight(const RequestHead& head) {
  return head.method_name == "OPTIONS" && !head.Header("origin").empty() &&
         !head.Header("access-control-request-method").empty();
}

Response AnswerPreflight(const CorsPolicy& policy, const RequestHead& head) {
  Response response;
  response.status = 204;
  if (policy.Allows(head.Header("origin"))) {
    response.headers = {{"Access-Control-Allow-Methods", kMethods},
                        {"Access-Control-Allow-Headers", kRequestHeaders},
                        {"Access-Control-Max-Age", kMaxAge}};
  }
  return response;
}

void AddCorsHeaders(const CorsPolicy& policy, const RequestHead& head,
                    std::vector<std::pair<std::string, std::string>>& headers) {
  if (policy.origins.empty()) return;
  // Caches keep what one origin got from the others.
  headers.emplace_back("Vary", "Origin");
  const std::string_view origin = head.Header("origin");
  if (!policy.Allows(origin)) return;
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  headers.emplace_back("Access-Control-Expose-Headers", kAnswerHeaders);
  headers.emplace_back("Cross-Origin-Resource-Policy", "cross-origin");
}

}  // namespace oriel::serving::http
