// The statistics extension of Open Inference, over REST
// (triton-inference-server/server docs/protocol/extension_statistics.md).
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

// /v2/models/stats: of all that is available; /v2/models/{model}[/versions/{version}]/
// stats: of a model's versions, or of one.
void GetStatistics(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
