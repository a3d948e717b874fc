// Images of a request of any protocol, on their way to a model.
#pragma once

#include <string>
#include <vector>

#include "serving/http/json_document.h"
#include "serving/http/message.h"
#include "serving/served_model.h"

namespace oriel::serving::http {

class App;

// ?top_k= of a request, else the server's own. kInvalidArgument.
absl::StatusOr<int> TopKOf(const App& app, const RequestHead& head);

// All encoded, or all as the network takes them.
class GatheredImages {
 public:
  // The session outlives it.
  explicit GatheredImages(const model::Session& session) : session_(session) {}

  // A file. kInvalidArgument after a tensor.
  absl::Status AddImage(std::string bytes);
  // Floats of one image, [height, width, 3], or of several, [N, height, width, 3]; with
  // `batched` of several only. kInvalidArgument for another shape, or after a file.
  absl::Status AddTensor(JsonValue& tensor, bool batched);

  // What a model takes; at least one image.
  absl::StatusOr<ClassifyRequest> Finish() &&;

  // "[299, 299, 3]", for messages.
  std::string ShapeText() const;

 private:
  const model::Session& session_;
  ClassifyRequest request_;
};

}  // namespace oriel::serving::http
