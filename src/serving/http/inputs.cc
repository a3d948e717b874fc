#include "serving/http/inputs.h"

#include <fmt/ranges.h>

#include <charconv>
#include <utility>

#include "serving/http/app.h"

namespace oriel::serving::http {

absl::StatusOr<int> TopKOf(const App& app, const RequestHead& head) {
  const std::string* text = head.Query("top_k");
  if (text == nullptr) return app.options.top_k;
  int k = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), k);
  if (error != std::errc() || end != text->data() + text->size() || k < 1) {
    return InvalidArgument("top_k must be a number from 1");
  }
  return k;
}

std::string GatheredImages::ShapeText() const {
  return fmt::format("[{}, {}, 3]", session_.config().height, session_.config().width);
}

absl::Status GatheredImages::AddImage(std::string bytes) {
  if (!request_.pixels.empty()) {
    return InvalidArgument("encoded images and floats in one request: want one kind");
  }
  request_.images.push_back(std::make_shared<const std::string>(std::move(bytes)));
  return absl::OkStatus();
}

absl::Status GatheredImages::AddTensor(JsonValue& tensor, bool batched) {
  if (!request_.images.empty()) {
    return InvalidArgument("encoded images and floats in one request: want one kind");
  }
  const std::vector<int64_t> image = {session_.config().height, session_.config().width,
                                      3};
  std::vector<int64_t> rest = tensor.shape;
  if (batched && !rest.empty()) rest.erase(rest.begin());
  if (rest != image) {
    return InvalidArgument("floats of shape [{}]: want {}{}",
                           fmt::join(tensor.shape, ", "), batched ? "a list of " : "",
                           ShapeText());
  }
  if (request_.pixels.empty()) {
    request_.pixels = std::move(tensor.numbers);
  } else {
    request_.pixels.insert(request_.pixels.end(), tensor.numbers.begin(),
                           tensor.numbers.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<ClassifyRequest> GatheredImages::Finish() && {
  if (request_.images.empty() && request_.pixels.empty()) {
    return InvalidArgument("no image in the request");
  }
  return std::move(request_);
}

}  // namespace oriel::serving::http
