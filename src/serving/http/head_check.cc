#include "serving/http/head_check.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "serving/gatekeeper.h"
#include "serving/http/app.h"
#include "serving/http/content_coding.h"
#include "serving/http/header_value.h"

namespace oriel::serving::http {
namespace {

std::optional<Problem> CheckBodyType(const Route& route, const RequestHead& head) {
  const std::string_view type = head.Header("content-type");
  if (type.empty() && route.body != BodyKind::kForm) return std::nullopt;
  const auto parsed = ParseHeaderValue(type);
  if (!parsed.ok()) return Problem{415, "the Content-Type is malformed"};
  const bool is_form = parsed->value == "multipart/form-data";
  switch (route.body) {
    case BodyKind::kAny:
      if (!is_form) return std::nullopt;
      return Problem{415, "this address takes no forms"};
    case BodyKind::kForm:
      if (is_form) return std::nullopt;
      return Problem{415, "this address takes a form: multipart/form-data"};
    default:
      break;
  }
  // The last is what curl --data-binary says when it is not told otherwise.
  if (is_form || parsed->value.starts_with("image/") ||
      parsed->value == "application/octet-stream" ||
      parsed->value == "application/x-www-form-urlencoded") {
    return std::nullopt;
  }
  return Problem{415, "this address takes the bytes of an image, or a form with images"};
}

std::optional<Problem> CheckBodyHeaders(const Route& route, const RequestHead& head,
                                        const HeadParser& parser, uint64_t max_body) {
  const std::string_view expect = head.Header("expect");
  if (!expect.empty() && !EqualsIgnoringCase(expect, "100-continue")) {
    return Problem{417, "the only expectation that is understood is '100-continue'"};
  }
  const boost::optional<std::uint64_t> length = parser.content_length();
  if (route.body == BodyKind::kNone) {
    if (parser.chunked() || length.value_or(0) > 0) {
      return Problem{400, "this address takes no body"};
    }
    return std::nullopt;
  }
  if (!length.has_value() && !parser.chunked()) {
    return Problem{411, "the request needs a Content-Length, or to be sent in chunks"};
  }
  if (length.value_or(0) > max_body) {
    return Problem{413, fmt::format("the upload has {} bytes; at most {} are taken",
                                    *length, max_body)};
  }
  if (!ParseContentEncoding(head.Header("content-encoding")).has_value()) {
    return Problem{415,
                   "of encoded bodies only gzip and deflate are taken",
                   {{"Accept-Encoding", "gzip, deflate"}}};
  }
  return CheckBodyType(route, head);
}

// The key that came: "Authorization: Bearer KEY", "X-API-Key: KEY", or the password of
// "Authorization: Basic", which browsers ask people for. That they send by themselves,
// whoever's page made the request: administration does not take it.
std::string PresentedKey(const RequestHead& head, Access access) {
  const std::string_view authorization = head.Header("authorization");
  const size_t space = authorization.find(' ');
  const std::string_view scheme = authorization.substr(0, space);
  const std::string_view value = space == std::string_view::npos
                                     ? std::string_view()
                                     : TrimWhitespace(authorization.substr(space));
  if (EqualsIgnoringCase(scheme, "bearer")) return std::string(value);
  if (EqualsIgnoringCase(scheme, "basic") && access != Access::kAdmin) {
    std::string decoded;
    if (absl::Base64Unescape({value.data(), value.size()}, &decoded)) {
      const size_t colon = decoded.find(':');
      if (colon != std::string::npos) return decoded.substr(colon + 1);
    }
  }
  return std::string(head.Header("x-api-key"));
}

bool ServedHere(const Route& route, Serves serves) {
  const bool administration =
      route.access == Access::kAdmin || route.access == Access::kMetrics;
  switch (serves) {
    case Serves::kAllButAdministration:
      return !administration;
    case Serves::kAdministration:
      return administration || (route.is_probe && route.access == Access::kPublic);
    default:
      return true;
  }
}

std::optional<Problem> Admit(const ServerOptions& options, const Route& route,
                             RequestHead& head) {
  const bool needs_keys =
      options.gatekeeper != nullptr && options.gatekeeper->needs_keys();
  // Who reaches administration's own address may use it, unless there are keys.
  head.is_admin = options.serves == Serves::kAdministration && !needs_keys;
  if (options.gatekeeper == nullptr) return std::nullopt;
  const std::string key = PresentedKey(head, route.access);
  Admission admission =
      options.gatekeeper->Admit(route.access, {.key = key, .address = head.client});
  if (!admission.key_name.empty()) head.client = std::move(admission.key_name);
  head.is_admin = head.is_admin || admission.is_admin;
  if (admission.status.ok()) return std::nullopt;
  Problem problem = ProblemFrom(admission.status);
  if (problem.status == 429) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(admission.retry_after);
    problem.headers.emplace_back("Retry-After",
                                 std::to_string(std::max<int64_t>(1, seconds.count())));
  } else if (problem.status == 401) {
    // A page's script is to see the error; a person is to be asked.
    problem.headers.emplace_back("WWW-Authenticate",
                                 WantsHtml(head, route.audience)
                                     ? "Basic realm=\"Oriel\", charset=\"UTF-8\""
                                     : "Bearer realm=\"Oriel\"");
  }
  return problem;
}

// A whole number in the header, within the bounds; nullopt when there is none.
absl::StatusOr<std::optional<int64_t>> NumberIn(const RequestHead& head,
                                                std::string_view name, int64_t least,
                                                int64_t most) {
  if (!head.HasHeader(name)) return std::nullopt;
  const std::string_view text = TrimWhitespace(head.Header(name));
  int64_t value = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last || value < least || value > most) {
    return InvalidArgument("{}: want a whole number from {} to {}", name, least, most);
  }
  return value;
}

absl::Status ReadWishes(RequestHead& head) {
  constexpr int64_t kDay = 86'400'000;
  ASSIGN_OR_RETURN(const auto timeout, NumberIn(head, "X-Request-Timeout-Ms", 1, kDay));
  if (timeout.has_value()) head.timeout = std::chrono::milliseconds(*timeout);
  ASSIGN_OR_RETURN(const auto priority,
                   NumberIn(head, "X-Request-Priority", kFirstPriority, kLastPriority));
  head.priority = static_cast<int>(priority.value_or(kDefaultPriority));
  return absl::OkStatus();
}

}  // namespace

std::optional<Problem> CheckHead(App& app, const ServerOptions& options,
                                 std::string_view peer, const HeadParser& parser,
                                 RequestHead& head, const Route*& route) {
  head.client =
      ClientAddress(peer, head.Header("x-forwarded-for"), options.trusted_proxies);
  RouteMatch match = FindRoute(Routes(), head.method, head.path);
  route = match.route;
  head.path_parameters = std::move(match.parameters);
  if (route == nullptr) {
    if (match.allow.empty()) return Problem{404, "there is nothing at this address"};
    return Problem{
        405, "this address does not take this method", {{"Allow", match.allow}}};
  }
  if (!ServedHere(*route, options.serves)) {
    route = nullptr;
    return Problem{404, "there is nothing at this address"};
  }
  if (auto problem = Admit(options, *route, head)) return problem;
  if (const absl::Status status = ReadWishes(head); !status.ok()) {
    return ProblemFrom(status);
  }
  if (auto problem = CheckBodyHeaders(*route, head, parser, options.max_body_bytes)) {
    return problem;
  }
  if (route->admit == nullptr) return std::nullopt;
  const absl::Status admitted = route->admit(app, head);
  if (admitted.ok()) return std::nullopt;
  return ProblemFrom(admitted);
}

}  // namespace oriel::serving::http
