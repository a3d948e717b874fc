// The logging extension of Open Inference: what is logged, changed while the server runs
// (triton-inference-server/server docs/protocol/extension_logging.md).
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

void GetLogging(App& app, Request request, Responder responder);
// For administrators only, also where nobody needs a key: on the administration's
// address.
void PostLogging(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
