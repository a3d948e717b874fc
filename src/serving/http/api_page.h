// GET /api/openapi.json: what the server answers to, for machines; GET /api: the same for
// people.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "serving/http/message.h"
#include "serving/http/web.h"

namespace oriel::serving::http {

class App;

// Of an OpenAPI 3.0 document, by its tags. kInvalidArgument where it is none.
absl::StatusOr<ApiDescription> DescribeApi(std::string_view openapi);

void GetOpenApi(App& app, Request request, Responder responder);
void GetApiPage(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
