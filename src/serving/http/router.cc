#include "serving/http/router.h"

#include <algorithm>

#include "serving/http/api_page.h"
#include "serving/http/classify.h"
#include "serving/http/health.h"
#include "serving/http/inference_call.h"
#include "serving/http/logging.h"
#include "serving/http/metrics.h"
#include "serving/http/models.h"
#include "serving/http/open_inference.h"
#include "serving/http/page.h"
#include "serving/http/statistics.h"
#include "serving/http/tensorflow_serving.h"

namespace oriel::serving::http {
namespace {

using Handler = void (*)(App&, Request, Responder);

constexpr Route Get(std::string_view path, Handler handle, Access access = Access::kUse) {
  return {.method = Method::kGet,
          .path = path,
          .body = BodyKind::kNone,
          .audience = Audience::kProgram,
          .handle = handle,
          .access = access};
}

constexpr Route Probe(std::string_view path, Handler handle,
                      Access access = Access::kPublic) {
  Route route = Get(path, handle, access);
  route.is_probe = true;
  return route;
}

// A body of any kind but a form, JSON most likely.
constexpr Route Post(std::string_view path, Handler handle,
                     Access access = Access::kUse) {
  Route route = Get(path, handle, access);
  route.method = Method::kPost;
  route.body = BodyKind::kAny;
  return route;
}

constexpr Route Infer(std::string_view path, Handler handle) {
  Route route = Post(path, handle);
  route.admit = AdmitInference;
  return route;
}

constexpr Route Images(std::string_view path, BodyKind body, Handler handle) {
  Route route = Post(path, handle);
  route.body = body;
  route.admit = AdmitImages;
  return route;
}

constexpr Route ForPeople(Route route) {
  route.audience = Audience::kPerson;
  return route;
}

constexpr Route kRoutes[] = {
    ForPeople(Get("/", GetPage)),
    ForPeople(Images("/", BodyKind::kForm, PostPage)),
    ForPeople(Get("/style.css", GetStyle, Access::kPublic)),
    ForPeople(Get("/script.js", GetScript, Access::kPublic)),
    Images("/api/classify", BodyKind::kImage, PostClassify),
    Get("/api/models", GetModels),
    ForPeople(Get("/api", GetApiPage, Access::kPublic)),
    Get("/api/openapi.json", GetOpenApi, Access::kPublic),
    Probe("/healthz", GetHealthz),
    Probe("/readyz", GetReadyz),
    Probe("/metrics", GetMetrics, Access::kMetrics),
    // Open Inference.
    Get("/v2", GetServerMetadata),
    Probe("/v2/health/live", GetServerLive),
    Probe("/v2/health/ready", GetServerReady),
    // Before a model of that name.
    Get("/v2/models/stats", GetStatistics),
    Get("/v2/models/{model}", GetInferenceMetadata),
    Probe("/v2/models/{model}/ready", GetModelReady, Access::kUse),
    Get("/v2/models/{model}/config", GetModelConfig),
    Get("/v2/models/{model}/stats", GetStatistics),
    Infer("/v2/models/{model}/infer", PostInfer),
    Get("/v2/models/{model}/versions/{version}", GetInferenceMetadata),
    Probe("/v2/models/{model}/versions/{version}/ready", GetModelReady, Access::kUse),
    Get("/v2/models/{model}/versions/{version}/config", GetModelConfig),
    Get("/v2/models/{model}/versions/{version}/stats", GetStatistics),
    Infer("/v2/models/{model}/versions/{version}/infer", PostInfer),
    Post("/v2/repository/index", PostRepositoryIndex),
    Post("/v2/repository/models/{model}/load", PostLoadModel, Access::kAdmin),
    Post("/v2/repository/models/{model}/unload", PostUnloadModel, Access::kAdmin),
    Get("/v2/logging", GetLogging, Access::kAdmin),
    Post("/v2/logging", PostLogging, Access::kAdmin),
    // TensorFlow Serving.
    Get("/v1/models/{model}", GetModelStatus),
    Get("/v1/models/{model}/metadata", GetModelMetadata),
    Infer("/v1/models/{model}:predict", PostPredict),
    Infer("/v1/models/{model}:classify", PostClassifyExamples),
    Infer("/v1/models/{model}:regress", PostRegress),
    Get("/v1/models/{model}/versions/{version}", GetModelStatus),
    Get("/v1/models/{model}/versions/{version}/metadata", GetModelMetadata),
    Infer("/v1/models/{model}/versions/{version}:predict", PostPredict),
    Infer("/v1/models/{model}/versions/{version}:classify", PostClassifyExamples),
    Infer("/v1/models/{model}/versions/{version}:regress", PostRegress),
    Get("/v1/models/{model}/labels/{label}", GetModelStatus),
    Get("/v1/models/{model}/labels/{label}/metadata", GetModelMetadata),
    Infer("/v1/models/{model}/labels/{label}:predict", PostPredict),
    Infer("/v1/models/{model}/labels/{label}:classify", PostClassifyExamples),
    Infer("/v1/models/{model}/labels/{label}:regress", PostRegress),
};

// What stands for the names of `pattern`; nullopt when `path` is no such path.
std::optional<std::vector<std::string>> Match(std::string_view pattern,
                                              std::string_view path) {
  std::vector<std::string> parameters;
  while (!pattern.empty()) {
    if (pattern[0] != '{') {
      if (path.empty() || path[0] != pattern[0]) return std::nullopt;
      pattern.remove_prefix(1);
      path.remove_prefix(1);
      continue;
    }
    const size_t n = std::min(path.find_first_of("/:"), path.size());
    if (n == 0) return std::nullopt;
    parameters.emplace_back(path.substr(0, n));
    pattern.remove_prefix(pattern.find('}') + 1);
    path.remove_prefix(n);
  }
  if (!path.empty()) return std::nullopt;
  return parameters;
}

}  // namespace

std::string_view ProtocolOf(const Route& route) {
  const std::string_view path = route.path;
  if (path.starts_with("/v1/")) return "tensorflow_serving_rest";
  if (path.starts_with("/v2")) return "open_inference_rest";
  if (path.starts_with("/api/")) return "api";
  return route.is_probe ? "operations" : "page";
}

std::span<const Route> Routes() { return kRoutes; }

RouteMatch FindRoute(std::span<const Route> routes, Method method,
                     std::string_view path) {
  RouteMatch match;
  const auto allow = [&match](std::string_view name) {
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += name;
  };
  for (const Route& route : routes) {
    auto parameters = Match(route.path, path);
    if (!parameters.has_value()) continue;
    if (route.method == method ||
        (route.method == Method::kGet && method == Method::kHead)) {
      if (match.route != nullptr) continue;  // the first that fits
      match.route = &route;
      match.parameters = *std::move(parameters);
    }
    if (route.method == Method::kGet) {
      allow("GET");
      allow("HEAD");
    } else {
      allow("POST");
    }
  }
  return match;
}

}  // namespace oriel::serving::http
