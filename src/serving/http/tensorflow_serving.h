// TensorFlow Serving's REST API, version 1: predict, classify, status, metadata
// (tensorflow_serving/g3doc/api_rest.md; docs/tensorflow_serving.md says what differs).
//
// A model has two signatures. Both take encoded images (`image_bytes`, strings) or
// what the network takes (its own input, floats), whichever a request brings:
//   serving_default   -> probabilities  float [N, classes]
//   top_k             -> classes        string [N, K], labels
//                        scores         float [N, K], most probable first
//                        indices        int32 [N, K], of the network's output
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
