// GET /api/models: what the server has.
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

void GetModels(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
