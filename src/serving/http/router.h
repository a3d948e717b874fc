// Which handler answers what: one table, one line per endpoint.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serving/api_keys.h"
#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

enum class BodyKind {
  kNone,   // a body is refused
  kImage,  // the bytes of an image, or a form with images
  kForm,   // multipart/form-data only
  kAny,    // of any Content-Type but a form
};

// How a route says that something went wrong, unless the client's Accept header
// decides otherwise.
enum class Audience { kProgram, kPerson };

struct Route {
  Method method;  // kGet answers HEAD too
  // "{name}" stands for one or more characters but '/' and ':'.
  std::string_view path;
  BodyKind body;
  Audience audience;
  // Looks at the head alone, before the body is read; an error refuses the request.
  // May be null.
  absl::Status (*admit)(App& app, const RequestHead& head) = nullptr;
  // Must not block and must not throw.
  void (*handle)(App& app, Request request, Responder responder) = nullptr;
  // Asked every few seconds by whatever watches the server: logged at debug level.
  bool is_probe = false;
  Access access = Access::kUse;  // what a client needs a key for, where there are keys
};

// What metrics call the protocol of an endpoint: "open_inference_rest".
std::string_view ProtocolOf(const Route& route);

// All endpoints of the server.
std::span<const Route> Routes();

struct RouteMatch {
  const Route* route = nullptr;         // null: `allow` tells 404 and 405 apart
  std::vector<std::string> parameters;  // see RequestHead::path_parameters
  std::string allow;  // "GET, HEAD, POST"; "" where nothing has this path
};

RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path);

}  // namespace oriel::serving::http
