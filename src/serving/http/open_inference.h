// The Open Inference Protocol, version 2, over REST, with Triton's extensions for binary
// tensors, classification, model configuration and model repository
// (https://github.com/kserve/open-inference-protocol, triton-inference-server/server
// docs/protocol). docs/open_inference.md says what a model takes and gives.
#pragma once

#include "serving/http/message.h"

namespace oriel::serving::http {

class App;

void GetServerMetadata(App& app, Request request, Responder responder);
void GetServerLive(App& app, Request request, Responder responder);
void GetServerReady(App& app, Request request, Responder responder);

// Of /v2/models/{model}[/versions/{version}].
void GetModelReady(App& app, Request request, Responder responder);
void GetInferenceMetadata(App& app, Request request, Responder responder);
void GetModelConfig(App& app, Request request, Responder responder);
void PostInfer(App& app, Request request, Responder responder);

void PostRepositoryIndex(App& app, Request request, Responder responder);
// Only with --load-on-demand: else the folders alone decide.
void PostLoadModel(App& app, Request request, Responder responder);
void PostUnloadModel(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
