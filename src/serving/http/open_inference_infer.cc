#include "serving/http/open_inference_infer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "image/decode.h"
#include "serving/http/app.h"
#include "serving/open_inference.h"

namespace oriel::serving::http {
namespace {

constexpr char kLengthHeader[] = "Inference-Header-Content-Length";

using Kind = JsonValue::Kind;
using open_inference::kProbabilities;

const JsonValue* Parameter(const JsonValue& value, std::string_view name) {
  const JsonValue* parameters = value.Find("parameters");
  return parameters == nullptr ? nullptr : parameters->Find(name);
}

absl::StatusOr<std::string> StringMember(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is(Kind::kString)) {
    return InvalidArgument("'{}' is {}: want a string", key,
                           value == nullptr ? "missing" : value->KindName());
  }
  return value->string;
}

// A whole number of at least `least`.
absl::StatusOr<int64_t> WholeNumber(const JsonValue& value, std::string_view what,
                                    int64_t least) {
  constexpr double kLargest = 1LL << 53;
  if (!value.is(Kind::kNumber) || value.number != std::floor(value.number) ||
      value.number < static_cast<double>(least) || value.number > kLargest) {
    return InvalidArgument("{} is {}: want a whole number from {}", what,
                           value.is(Kind::kNumber) ? fmt::format("{}", value.number)
                                                   : std::string(value.KindName()),
                           least);
  }
  return static_cast<int64_t>(value.number);
}

absl::StatusOr<bool> Flag(const JsonValue& value, std::string_view what) {
  if (!value.is(Kind::kBool)) {
    return InvalidArgument("'{}' is {}: want true or false", what, value.KindName());
  }
  return value.boolean;
}

absl::StatusOr<std::vector<int64_t>> ShapeOf(const JsonValue& input) {
  const JsonValue* shape = input.Find("shape");
  if (shape == nullptr || !shape->is(Kind::kTensor) || shape->shape.size() != 1) {
    return InvalidArgument("'shape' of an input is {}: want a list of numbers",
                           shape == nullptr ? "missing" : shape->KindName());
  }
  constexpr float kLargest = 1 << 24;  // that a float counts to
  std::vector<int64_t> dims;
  for (const float size : shape->numbers) {
    if (!(std::abs(size) <= kLargest) || size != std::floor(size)) {
      return InvalidArgument("'shape' of an input has {}: want whole numbers up to {}",
                             size, kLargest);
    }
    dims.push_back(static_cast<int64_t>(size));
  }
  return dims;
}

// The one input of a request.
class JsonInput {
 public:
  static absl::StatusOr<JsonInput> Make(JsonValue& root, const model::Session& session) {
    JsonValue* inputs = root.Find("inputs");
    if (inputs == nullptr || !inputs->is(Kind::kList) || inputs->items.size() != 1) {
      return InvalidArgument(
          "'inputs' is {}: want a list of one input",
          inputs == nullptr
              ? "missing"
              : fmt::format("{} of {}", inputs->KindName(), inputs->items.size()));
    }
    JsonValue& json = inputs->items[0];
    if (!json.is(Kind::kObject)) {
      return InvalidArgument("an input is {}: want an object", json.KindName());
    }
    ASSIGN_OR_RETURN(const std::string name, StringMember(json, "name"));
    ASSIGN_OR_RETURN(const std::string datatype, StringMember(json, "datatype"));
    ASSIGN_OR_RETURN(const std::vector<int64_t> shape, ShapeOf(json));
    ASSIGN_OR_RETURN(auto tensor,
                     open_inference::InputTensor::Make(session, name, datatype, shape));
    return JsonInput(json, std::move(tensor));
  }

  // `binary`: what follows the JSON.
  absl::StatusOr<ClassifyRequest> Read(std::string_view binary) {
    const JsonValue* size = Parameter(json_, "binary_data_size");
    JsonValue* data = json_.Find("data");
    if (size == nullptr && data != nullptr) {
      if (!binary.empty()) {
        return InvalidArgument("{} bytes follow the JSON, and no input wants them",
                               binary.size());
      }
      return tensor_.is_bytes() ? ImagesFromJson(*data) : FloatsFromJson(*data);
    }
    if (data != nullptr) {
      return InvalidArgument("input '{}' has both data and binary_data_size",
                             tensor_.name());
    }
    if (size == nullptr && binary.empty()) {
      return InvalidArgument("input '{}' has no data", tensor_.name());
    }
    if (size != nullptr) {
      ASSIGN_OR_RETURN(const int64_t bytes, WholeNumber(*size, "binary_data_size", 0));
      if (bytes != binary.size()) {
        return InvalidArgument(
            "input '{}' has binary_data_size {}, {} bytes follow the JSON",
            tensor_.name(), bytes, binary.size());
      }
    }
    return tensor_.FromRaw(binary);
  }

 private:
  JsonInput(JsonValue& json, open_inference::InputTensor tensor)
      : json_(json), tensor_(std::move(tensor)) {}

  absl::StatusOr<ClassifyRequest> FloatsFromJson(JsonValue& data) {
    if (!data.is(Kind::kTensor) || data.numbers.size() != tensor_.floats()) {
      return InvalidArgument("input '{}': data is {} of {}: want {} numbers",
                             tensor_.name(), data.KindName(), data.numbers.size(),
                             tensor_.floats());
    }
    ClassifyRequest request;
    request.pixels = std::move(data.numbers);
    return request;
  }

  // JSON has no bytes: images come as base64, as MLServer has it.
  absl::StatusOr<ClassifyRequest> ImagesFromJson(const JsonValue& data) {
    if (!data.is(Kind::kList) || data.items.size() != tensor_.images()) {
      return InvalidArgument("input '{}': data is {} of {}: want {} strings of base64",
                             tensor_.name(), data.KindName(), data.items.size(),
                             tensor_.images());
    }
    ClassifyRequest request;
    for (const JsonValue& item : data.items) {
      if (!item.is(Kind::kString)) {
        return InvalidArgument("input '{}': data has {}: want strings of base64",
                               tensor_.name(), item.KindName());
      }
      ASSIGN_OR_RETURN(std::string bytes, DecodeBase64(item.string));
      request.images.push_back(std::make_shared<const std::string>(std::move(bytes)));
    }
    return request;
  }

  JsonValue& json_;
  open_inference::InputTensor tensor_;
};

}  // namespace

absl::StatusOr<ClassifyRequest> InferCall::Read(const model::Session& session,
                                                std::string body) {
  model_name_ = session.name();
  model_version_ = session.version();
  size_t json_size = body.size();
  if (const std::string_view text = head().Header(kLengthHeader); !text.empty()) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), json_size);
    if (error != std::errc() || end != text.data() + text.size() ||
        json_size > body.size()) {
      return InvalidArgument("{}: {}: want a number up to the body's {} bytes",
                             kLengthHeader, text, body.size());
    }
    if (json_size == 0) return ReadBare(session, std::move(body));
  }
  const std::string_view all = body;
  ASSIGN_OR_RETURN(JsonValue root, ParseJson(all.substr(0, json_size)));
  if (!root.is(Kind::kObject)) {
    return InvalidArgument("the request is {}: want a JSON object", root.KindName());
  }
  ASSIGN_OR_RETURN(JsonInput input, JsonInput::Make(root, session));
  RETURN_IF_ERROR(ReadOutputs(root, session));
  ASSIGN_OR_RETURN(ClassifyRequest request, input.Read(all.substr(json_size)));
  request.top_k = classification_;
  request.probabilities = classification_ == 0;
  RETURN_IF_ERROR(ReadParameters(root, request));
  return request;
}

// The whole body is the input of one request: a file, or floats.
absl::StatusOr<ClassifyRequest> InferCall::ReadBare(const model::Session& session,
                                                    std::string body) {
  binary_ = true;
  ClassifyRequest request;
  request.top_k = 0;
  request.probabilities = true;
  const size_t image_bytes = session.image_elements() * sizeof(float);
  if (!body.empty() && body.size() % image_bytes == 0 &&
      image::SniffFormat(AsBytes(body)) == image::Format::kUnknown) {
    request.pixels.resize(body.size() / sizeof(float));
    std::memcpy(request.pixels.data(), body.data(), body.size());
    return request;
  }
  request.images.push_back(std::make_shared<const std::string>(std::move(body)));
  return request;
}

absl::Status InferCall::ReadParameters(const JsonValue& root, ClassifyRequest& request) {
  if (root.Find("id") != nullptr) {
    ASSIGN_OR_RETURN(id_, StringMember(root, "id"));
  }
  if (const JsonValue* timeout = Parameter(root, "timeout")) {
    ASSIGN_OR_RETURN(const int64_t us, WholeNumber(*timeout, "timeout", 0));
    request.deadline = open_inference::DeadlineAfter(app().clock.Now(), us);
  }
  if (const JsonValue* priority = Parameter(root, "priority")) {
    ASSIGN_OR_RETURN(const int64_t n, WholeNumber(*priority, "priority", 0));
    request.priority = open_inference::PriorityFrom(n);
  }
  if (const JsonValue* exif = Parameter(root, "honor_exif")) {
    ASSIGN_OR_RETURN(request.honor_exif, Flag(*exif, "honor_exif"));
  }
  return absl::OkStatus();
}

absl::Status InferCall::ReadOutputs(const JsonValue& root,
                                    const model::Session& session) {
  if (const JsonValue* binary = Parameter(root, "binary_data_output")) {
    ASSIGN_OR_RETURN(binary_, Flag(*binary, "binary_data_output"));
  }
  const JsonValue* outputs = root.Find("outputs");
  if (outputs == nullptr || (outputs->is(Kind::kList) && outputs->items.empty())) {
    return absl::OkStatus();
  }
  if (!outputs->is(Kind::kList) || outputs->items.size() != 1 ||
      !outputs->items[0].is(Kind::kObject)) {
    return InvalidArgument("'outputs' is {} of {}: want a list of one output",
                           outputs->KindName(), outputs->items.size());
  }
  const JsonValue& output = outputs->items[0];
  ASSIGN_OR_RETURN(output_, StringMember(output, "name"));
  RETURN_IF_ERROR(open_inference::CheckOutput(session, output_));
  if (const JsonValue* binary = Parameter(output, "binary_data")) {
    ASSIGN_OR_RETURN(binary_, Flag(*binary, "binary_data"));
  }
  if (const JsonValue* classes = Parameter(output, "classification")) {
    ASSIGN_OR_RETURN(const int64_t k, WholeNumber(*classes, "classification", 0));
    classification_ = static_cast<int>(std::min<int64_t>(k, session.num_classes()));
  }
  return absl::OkStatus();
}

Response InferCall::Write(const std::vector<ImageAnswer>& answers) const {
  const bool classified = classification_ > 0;
  const size_t columns =
      classified ? answers[0].labels.size() : answers[0].probabilities.size();
  JsonWriter json;
  std::string binary;
  json.BeginObject();
  json.Key("model_name").String(model_name_);
  json.Key("model_version").String(model_version_);
  if (!id_.empty()) json.Key("id").String(id_);
  json.Key("outputs").BeginArray().BeginObject();
  json.Key("name").String(output_.empty() ? kProbabilities : output_);
  json.Key("datatype").String(classified ? "BYTES" : "FP32");
  json.Key("shape").BeginArray();
  json.Integer(static_cast<int64_t>(answers.size()));
  json.Integer(static_cast<int64_t>(columns)).EndArray();
  if (!binary_) json.Key("data").BeginArray();
  for (const ImageAnswer& answer : answers) {
    for (const model::ScoredLabel& label : answer.labels) {
      const std::string text = open_inference::ClassificationText(label);
      if (!binary_) {
        json.String(text);
        continue;
      }
      open_inference::AppendElement(text, binary);
    }
    if (binary_) {
      binary.append(reinterpret_cast<const char*>(answer.probabilities.data()),
                    answer.probabilities.size() * sizeof(float));
    } else {
      for (const float p : answer.probabilities) json.Float(p);
    }
  }
  if (binary_) {
    json.Key("parameters").BeginObject();
    json.Key("binary_data_size").Integer(static_cast<int64_t>(binary.size())).EndObject();
  } else {
    json.EndArray();
  }
  json.EndObject().EndArray().EndObject();
  Response response;
  response.body = std::move(json).Take();
  response.content_type = "application/json";
  if (binary_) {
    response.content_type = "application/octet-stream";
    response.headers.emplace_back(kLengthHeader, std::to_string(response.body.size()));
    response.body += binary;
  }
  return response;
}

}  // namespace oriel::serving::http
