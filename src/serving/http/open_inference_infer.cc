#include "serving/http/open_inference_infer.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "image/decode.h"
#include "serving/http/app.h"

namespace oriel::serving::http {
namespace {

constexpr char kLengthHeader[] = "Inference-Header-Content-Length";
constexpr size_t kLengthPrefix = 4;  // of an element of a BYTES tensor

using Kind = JsonValue::Kind;

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

// The one input of a request.
class InputTensor {
 public:
  static absl::StatusOr<InputTensor> Make(JsonValue& root, const model::Session& session) {
    JsonValue* inputs = root.Find("inputs");
    if (inputs == nullptr || !inputs->is(Kind::kList) || inputs->items.size() != 1) {
      return InvalidArgument(
          "'inputs' is {}: want a list of one input",
          inputs == nullptr ? "missing"
                            : fmt::format("{} of {}", inputs->KindName(),
                                          inputs->items.size()));
    }
    InputTensor input(inputs->items[0], session);
    if (!input.json_.is(Kind::kObject)) {
      return InvalidArgument("an input is {}: want an object", input.json_.KindName());
    }
    ASSIGN_OR_RETURN(input.name_, StringMember(input.json_, "name"));
    if (input.name_ != session.config().input && input.name_ != "image_bytes") {
      return InvalidArgument("there is no input '{}': want '{}' or 'image_bytes'",
                             input.name_, session.config().input);
    }
    ASSIGN_OR_RETURN(const std::string datatype, StringMember(input.json_, "datatype"));
    if (datatype != "FP32" && datatype != "BYTES") {
      return InvalidArgument("input '{}' has datatype {}: want FP32, or BYTES for encoded "
                             "images",
                             input.name_, datatype);
    }
    input.is_bytes_ = datatype == "BYTES";
    RETURN_IF_ERROR(input.ReadShape());
    return input;
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
      return is_bytes_ ? BytesFromJson(*data) : FloatsFromJson(*data);
    }
    if (data != nullptr) {
      return InvalidArgument("input '{}' has both data and binary_data_size", name_);
    }
    if (size == nullptr && binary.empty()) {
      return InvalidArgument("input '{}' has no data", name_);
    }
    if (size != nullptr) {
      ASSIGN_OR_RETURN(const int64_t bytes, WholeNumber(*size, "binary_data_size", 0));
      if (bytes != binary.size()) {
        return InvalidArgument("input '{}' has binary_data_size {}, {} bytes follow the JSON",
                               name_, bytes, binary.size());
      }
    }
    return is_bytes_ ? BytesFromBinary(binary) : FloatsFromBinary(binary);
  }

 private:
  InputTensor(JsonValue& json, const model::Session& session)
      : json_(json), session_(session) {}

  absl::Status ReadShape() {
    const JsonValue* shape = json_.Find("shape");
    if (shape == nullptr || !shape->is(Kind::kTensor) || shape->shape.size() != 1) {
      return InvalidArgument("input '{}': 'shape' is {}: want a list of numbers", name_,
                             shape == nullptr ? "missing" : shape->KindName());
    }
    const std::vector<float>& dims = shape->numbers;
    const std::vector<float> image = {static_cast<float>(session_.config().height),
                                      static_cast<float>(session_.config().width), 3};
    constexpr float kMost = 1 << 20;  // images of one request
    const bool counted = dims[0] >= 1 && dims[0] <= kMost && dims[0] == std::floor(dims[0]);
    const bool fits =
        is_bytes_ ? dims.size() == 1 || (dims.size() == 2 && dims[1] == 1)
                  : std::equal(dims.begin() + 1, dims.end(), image.begin(), image.end());
    if (!counted || !fits) {
      return InvalidArgument("input '{}' has shape [{}]: want {}", name_,
                             fmt::join(dims, ", "),
                             is_bytes_ ? "[N] of encoded images"
                                       : fmt::format("[N, {}, {}, 3]", image[0], image[1]));
    }
    images_ = static_cast<size_t>(dims[0]);
    return absl::OkStatus();
  }

  absl::StatusOr<ClassifyRequest> FloatsFromJson(JsonValue& data) {
    const size_t want = images_ * session_.image_elements();
    if (!data.is(Kind::kTensor) || data.numbers.size() != want) {
      return InvalidArgument("input '{}': data is {} of {}: want {} numbers", name_,
                             data.KindName(), data.numbers.size(), want);
    }
    ClassifyRequest request;
    request.pixels = std::move(data.numbers);
    return request;
  }

  // JSON has no bytes: images come as base64, as MLServer has it.
  absl::StatusOr<ClassifyRequest> BytesFromJson(const JsonValue& data) {
    if (!data.is(Kind::kList) || data.items.size() != images_) {
      return InvalidArgument("input '{}': data is {} of {}: want {} strings of base64",
                             name_, data.KindName(), data.items.size(), images_);
    }
    ClassifyRequest request;
    for (const JsonValue& item : data.items) {
      if (!item.is(Kind::kString)) {
        return InvalidArgument("input '{}': data has {}: want strings of base64", name_,
                               item.KindName());
      }
      ASSIGN_OR_RETURN(std::string bytes, DecodeBase64(item.string));
      request.images.push_back(std::make_shared<const std::string>(std::move(bytes)));
    }
    return request;
  }

  absl::StatusOr<ClassifyRequest> FloatsFromBinary(std::string_view binary) {
    const size_t want = images_ * session_.image_elements();
    if (binary.size() != want * sizeof(float)) {
      return InvalidArgument("input '{}' has {} bytes: want {} floats, {} bytes", name_,
                             binary.size(), want, want * sizeof(float));
    }
    ClassifyRequest request;
    request.pixels.resize(want);
    std::memcpy(request.pixels.data(), binary.data(), binary.size());
    return request;
  }

  absl::StatusOr<ClassifyRequest> BytesFromBinary(std::string_view binary) {
    ClassifyRequest request;
    for (size_t i = 0; i < images_; ++i) {
      uint32_t size = 0;
      if (binary.size() < kLengthPrefix) {
        return InvalidArgument("input '{}' ends before the length of element {}", name_, i);
      }
      std::memcpy(&size, binary.data(), kLengthPrefix);
      binary.remove_prefix(kLengthPrefix);
      if (size > binary.size()) {
        return InvalidArgument("input '{}': element {} has {} bytes, {} are left", name_, i,
                               size, binary.size());
      }
      request.images.push_back(
          std::make_shared<const std::string>(binary.substr(0, size)));
      binary.remove_prefix(size);
    }
    if (!binary.empty()) {
      return InvalidArgument("input '{}': {} bytes are left after {} elements", name_,
                             binary.size(), images_);
    }
    return request;
  }

  JsonValue& json_;
  const model::Session& session_;
  std::string name_;
  bool is_bytes_ = false;
  size_t images_ = 0;
};

std::string ClassificationText(const model::ScoredLabel& label) {
  return fmt::format("{:.6f}:{}:{}", label.probability, label.index, label.label);
}

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
  ASSIGN_OR_RETURN(InputTensor input, InputTensor::Make(root, session));
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
    if (us > 0) {
      request.deadline =
          app().clock.Now() +
          std::chrono::microseconds(std::min<int64_t>(us, 86'400'000'000));
    }
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
  ASSIGN_OR_RETURN(const std::string name, StringMember(output, "name"));
  if (name != kProbabilities && name != session.config().predictions) {
    return InvalidArgument("there is no output '{}': want '{}'", name, kProbabilities);
  }
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
  json.Key("name").String(kProbabilities);
  json.Key("datatype").String(classified ? "BYTES" : "FP32");
  json.Key("shape").BeginArray();
  json.Integer(static_cast<int64_t>(answers.size()));
  json.Integer(static_cast<int64_t>(columns)).EndArray();
  if (!binary_) json.Key("data").BeginArray();
  for (const ImageAnswer& answer : answers) {
    for (const model::ScoredLabel& label : answer.labels) {
      const std::string text = ClassificationText(label);
      if (!binary_) {
        json.String(text);
        continue;
      }
      const uint32_t size = static_cast<uint32_t>(text.size());
      binary.append(reinterpret_cast<const char*>(&size), kLengthPrefix);
      binary += text;
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
