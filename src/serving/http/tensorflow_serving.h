// TensorFlow Serving's REST API, version 1: predict, classify, status, metadata
// (tensorflow_serving/g3doc/api_rest.md; docs/tensorflow_serving.md says what differs).
// serving/tensorflow_serving.h has what is not REST's own.
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

// Of all the addresses of a model: /v1/models/{model}[/versions/{v}|/labels/{l}].
void GetModelStatus(App& app, Request request, Responder responder);
void GetModelMetadata(App& app, Request request, Responder responder);
void PostPredict(App& app, Request request, Responder responder);
void PostClassifyExamples(App& app, Request request, Responder responder);
void PostRegress(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
