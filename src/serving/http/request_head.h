// From what Beast parsed to a RequestHead, and the checks that make sure that no
// proxy in front can see other message borders than we do. Private to the server.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/status.h"
#include "serving/http/message.h"

namespace oriel::serving::http {

using HeadParser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

// Method and headers, which are always there. Leaves path and query empty.
RequestHead MakeRequestHead(const HeadParser& parser);

// kInvalidArgument for messages whose length or target can be read in two ways:
// Content-Length that comes twice, a transfer coding other than one "chunked" or in
// HTTP/1.0, no Host or several (RFC 9112, sections 3.2 and 6).
absl::Status CheckFraming(const HeadParser& parser);

// Path and query from the request target: origin form or absolute form. An argument that
// comes twice is an error.
absl::Status ParseTarget(std::string_view target, RequestHead& head);

}  // namespace oriel::serving::http
