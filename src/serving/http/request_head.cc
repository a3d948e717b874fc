#include "serving/http/request_head.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include "serving/http/header_value.h"

namespace oriel::serving::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;

std::string_view View(boost::core::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

RequestHead MakeRequestHead(const HeadParser& parser) {
  const auto& message = parser.get();
  RequestHead head;
  switch (message.method()) {
    case beast::http::verb::get:
      head.method = Method::kGet;
      break;
    case beast::http::verb::head:
      head.method = Method::kHead;
      break;
    case beast::http::verb::post:
      head.method = Method::kPost;
      break;
    default:
      head.method = Method::kOther;
  }
  head.method_name = View(message.method_string());
  for (const auto& header : message) {
    head.headers.emplace_back(View(header.name_string()), View(header.value()));
  }
  return head;
}

absl::Status CheckFraming(const HeadParser& parser) {
  const auto& message = parser.get();
  const bool http_1_1 = message.version() >= 11;
  if (http_1_1 && message.count(field::host) != 1) {
    return InvalidArgument("an HTTP/1.1 request has exactly one Host header");
  }
  if (message.count(field::host) > 1) return InvalidArgument("more than one Host header");
  if (message.count(field::content_length) > 1 ||
      message[field::content_length].find(',') != std::string_view::npos) {
    return InvalidArgument("more than one Content-Length");
  }
  const auto codings = message.count(field::transfer_encoding);
  if (codings > 0) {
    if (!http_1_1) return InvalidArgument("HTTP/1.0 has no transfer codings");
    if (message.count(field::content_length) > 0) {
      return InvalidArgument("Content-Length beside Transfer-Encoding");
    }
    if (codings > 1 ||
        !EqualsIgnoringCase(View(message[field::transfer_encoding]), "chunked")) {
      return InvalidArgument("the only transfer coding that is understood is 'chunked'");
    }
  }
  return absl::OkStatus();
}

absl::Status ParseTarget(std::string_view target, RequestHead& head) {
  const boost::core::string_view text(target.data(), target.size());
  // Neither form has a fragment, and both parsers know their own grammar.
  const auto url = target.starts_with('/') ? boost::urls::parse_origin_form(text)
                                           : boost::urls::parse_absolute_uri(text);
  if (!url) return InvalidArgument("the request target is malformed");
  if (!target.starts_with('/') && url->scheme() != "http" && url->scheme() != "https") {
    return InvalidArgument("the request target is malformed");
  }
  head.path = url->path();
  if (head.path.empty()) head.path.push_back('/');
  if (head.path.find('\0') != std::string::npos) {
    return InvalidArgument("the request target is malformed");
  }
  for (const auto& parameter : url->params()) {
    if (head.Query(std::string(parameter.key)) != nullptr) {
      return InvalidArgument("an argument of the address comes twice");
    }
    head.query.emplace_back(std::string(parameter.key), std::string(parameter.value));
  }
  return absl::OkStatus();
}

}  // namespace oriel::serving::http
