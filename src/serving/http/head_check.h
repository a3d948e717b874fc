// What can be told from the head of a request alone: which route it is for, whether it
// may come in, and whether its body is wanted. Private to the server.
#pragma once

#include <optional>

#include "serving/http/problem.h"
#include "serving/http/request_head.h"
#include "serving/http/router.h"
#include "serving/http/server.h"

namespace oriel::serving::http {

// Finds the route and fills what the head has of it (path_parameters), the client and
// is_admin. A problem: the request is refused; `route` is set where there is one.
std::optional<Problem> CheckHead(App& app, const ServerOptions& options,
                                 std::string_view peer, const HeadParser& parser,
                                 RequestHead& head, const Route*& route);

}  // namespace oriel::serving::http
