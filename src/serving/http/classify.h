// POST /api/classify, and what the page shares with it: images out of a request,
// the model that answers, JSON.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serving/http/message.h"
#include "serving/served_model.h"

namespace oriel::serving::http {

class App;
class JsonWriter;

struct Upload {
  std::string filename;  // "" when the client gave none
  std::shared_ptr<const std::string> bytes;
};

// The model that ?model=, ?version= and ?label= mean, or the default. kUnavailable
// while it loads or the server shuts down, kNotFound, kInvalidArgument.
absl::StatusOr<std::shared_ptr<ServedModel>> ReadyModel(App& app,
                                                        const RequestHead& head);

// A Route::admit: the model is ready and has room for an image.
absl::Status AdmitImages(App& app, const RequestHead& head);

// Moves the images out of a body or a form (the files in `field`, or in any field
// when that is ""). kInvalidArgument for none, or for more than the limit.
absl::StatusOr<std::vector<Upload>> TakeUploads(const App& app, Request& request,
                                                std::string_view field);

// What to ask the model, from ?top_k= and ?honor_exif=. kInvalidArgument for values
// that are none.
absl::StatusOr<ClassifyRequest> MakeClassifyRequest(const App& app,
                                                    const Request& request,
                                                    const std::vector<Upload>& uploads);

// "model": {"name", "version", "title"} into an open object.
void WriteModel(const model::Session& session, JsonWriter& json);

void PostClassify(App& app, Request request, Responder responder);

}  // namespace oriel::serving::http
