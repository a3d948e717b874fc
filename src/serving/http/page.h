// GET / and POST /: the page, which works without JavaScript; its stylesheet and
// script.
#pragma once

#include "serving/http/message.h"
#include "serving/http/web.h"

namespace oriel::serving::http {

class App;

// A file of the page's, or 304 where the client has it.
void SendStatic(const StaticFile& file, const char* type, const Request& request,
                Responder responder);

void GetPage(App& app, Request request, Responder responder);
void PostPage(App& app, Request request, Responder responder);
void GetStyle(App& app, Request request, Responder responder);
void GetScript(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
