#include "serving/http/router.h"

#include <algorithm>

#include "serving/http/classify.h"
#include "serving/http/health.h"
#include "serving/http/inference_call.h"
#include "serving/http/models.h"
#include "serving/http/open_inference.h"
#include "serving/http/page.h"
#include "serving/http/statistics.h"
#include "serving/http/tensorflow_serving.h"

namespace oriel::serving::http {
namespace {

constexpr Route kRoutes[] = {
    {Method::kGet, "/", BodyKind::kNone, Audience::kPerson, nullptr, GetPage},
    {Method::kPost, "/", BodyKind::kForm, Audience::kPerson, AdmitImages, PostPage},
    {Method::kGet, "/style.css", BodyKind::kNone, Audience::kPerson, nullptr, GetStyle},
    {Method::kGet, "/script.js", BodyKind::kNone, Audience::kPerson, nullptr, GetScript},
    {Method::kPost, "/api/classify", BodyKind::kImage, Audience::kProgram, AdmitImages,
     PostClassify},
    {Method::kGet, "/api/models", BodyKind::kNone, Audience::kProgram, nullptr,
     GetModels},
    {Method::kGet, "/healthz", BodyKind::kNone, Audience::kProgram, nullptr, GetHealthz,
     true},
    {Method::kGet, "/readyz", BodyKind::kNone, Audience::kProgram, nullptr, GetReadyz,
     true},
    // Open Inference.
    {Method::kGet, "/v2", BodyKind::kNone, Audience::kProgram, nullptr,
     GetServerMetadata},
    {Method::kGet, "/v2/health/live", BodyKind::kNone, Audience::kProgram, nullptr,
     GetServerLive, true},
    {Method::kGet, "/v2/health/ready", BodyKind::kNone, Audience::kProgram, nullptr,
     GetServerReady, true},
    // Before a model of that name.
    {Method::kGet, "/v2/models/stats", BodyKind::kNone, Audience::kProgram, nullptr,
     GetStatistics},
    {Method::kGet, "/v2/models/{model}", BodyKind::kNone, Audience::kProgram, nullptr,
     GetInferenceMetadata},
    {Method::kGet, "/v2/models/{model}/ready", BodyKind::kNone, Audience::kProgram,
     nullptr, GetModelReady, true},
    {Method::kGet, "/v2/models/{model}/config", BodyKind::kNone, Audience::kProgram,
     nullptr, GetModelConfig},
    {Method::kGet, "/v2/models/{model}/stats", BodyKind::kNone, Audience::kProgram,
     nullptr, GetStatistics},
    {Method::kPost, "/v2/models/{model}/infer", BodyKind::kAny, Audience::kProgram,
     AdmitInference, PostInfer},
    {Method::kGet, "/v2/models/{model}/versions/{version}", BodyKind::kNone,
     Audience::kProgram, nullptr, GetInferenceMetadata},
    {Method::kGet, "/v2/models/{model}/versions/{version}/ready", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelReady, true},
    {Method::kGet, "/v2/models/{model}/versions/{version}/config", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelConfig},
    {Method::kGet, "/v2/models/{model}/versions/{version}/stats", BodyKind::kNone,
     Audience::kProgram, nullptr, GetStatistics},
    {Method::kPost, "/v2/models/{model}/versions/{version}/infer", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostInfer},
    {Method::kPost, "/v2/repository/index", BodyKind::kAny, Audience::kProgram, nullptr,
     PostRepositoryIndex},
    {Method::kPost, "/v2/repository/models/{model}/load", BodyKind::kAny,
     Audience::kProgram, nullptr, PostLoadModel},
    {Method::kPost, "/v2/repository/models/{model}/unload", BodyKind::kAny,
     Audience::kProgram, nullptr, PostUnloadModel},
    // TensorFlow Serving.
    {Method::kGet, "/v1/models/{model}", BodyKind::kNone, Audience::kProgram, nullptr,
     GetModelStatus},
    {Method::kGet, "/v1/models/{model}/metadata", BodyKind::kNone, Audience::kProgram,
     nullptr, GetModelMetadata},
    {Method::kPost, "/v1/models/{model}:predict", BodyKind::kAny, Audience::kProgram,
     AdmitInference, PostPredict},
    {Method::kPost, "/v1/models/{model}:classify", BodyKind::kAny, Audience::kProgram,
     AdmitInference, PostClassifyExamples},
    {Method::kPost, "/v1/models/{model}:regress", BodyKind::kAny, Audience::kProgram,
     AdmitInference, PostRegress},
    {Method::kGet, "/v1/models/{model}/versions/{version}", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelStatus},
    {Method::kGet, "/v1/models/{model}/versions/{version}/metadata", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelMetadata},
    {Method::kPost, "/v1/models/{model}/versions/{version}:predict", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostPredict},
    {Method::kPost, "/v1/models/{model}/versions/{version}:classify", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostClassifyExamples},
    {Method::kPost, "/v1/models/{model}/versions/{version}:regress", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostRegress},
    {Method::kGet, "/v1/models/{model}/labels/{label}", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelStatus},
    {Method::kGet, "/v1/models/{model}/labels/{label}/metadata", BodyKind::kNone,
     Audience::kProgram, nullptr, GetModelMetadata},
    {Method::kPost, "/v1/models/{model}/labels/{label}:predict", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostPredict},
    {Method::kPost, "/v1/models/{model}/labels/{label}:classify", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostClassifyExamples},
    {Method::kPost, "/v1/models/{model}/labels/{label}:regress", BodyKind::kAny,
     Audience::kProgram, AdmitInference, PostRegress},
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
