#include "serving/http/router.h"

#include "serving/http/classify.h"
#include "serving/http/health.h"
#include "serving/http/models.h"
#include "serving/http/page.h"

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
};

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
    if (route.path != path) continue;
    if (route.method == method ||
        (route.method == Method::kGet && method == Method::kHead)) {
      match.route = &route;
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
