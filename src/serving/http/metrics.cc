#include "serving/http/metrics.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "serving/http/app.h"
#include "serving/http/inference_call.h"

namespace oriel::serving::http {

void GetMetrics(App& app, Request request, Responder responder) {
  const auto shared = std::make_shared<Responder>(std::move(responder));
  const bool accepted = app.operations.TrySubmit([&app, shared] {
    try {
      std::move(*shared).Send(
          {.content_type = Metrics::kContentType, .body = app.metrics.Text()});
    } catch (const std::exception& error) {  // the responder says 500 when it goes
      spdlog::error("metrics could not be collected: {}", error.what());
    }
  });
  if (accepted) return;
  std::move(*shared).Send(
      Failure(ResourceExhausted("too many scrapes at the same time"), request.head, app));
}

}  // namespace oriel::serving::http
