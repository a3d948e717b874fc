// GET /metrics, for Prometheus.
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

void GetMetrics(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
