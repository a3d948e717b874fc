#include "serving/http/tensorflow_serving.h"

#include <algorithm>
#include <utility>

#include "serving/http/app.h"
#include "serving/http/inference_call.h"
#include "serving/http/inputs.h"
#include "serving/http/json.h"
#include "serving/http/json_document.h"
#include "serving/model_repository.h"
#include "serving/tensorflow_serving.h"

namespace oriel::serving::http {
namespace {

constexpr char kJson[] = "application/json";

using tensorflow_serving::kDefaultSignature;
using tensorflow_serving::kImageBytes;

Response JsonResponse(JsonWriter json) {
  return {.content_type = kJson, .body = std::move(json).Take()};
}

// The images of one request, in either form.
class InputReader {
 public:
  explicit InputReader(const model::Session& session)
      : session_(session), gathered_(session) {}

  // The value of "instances": one entry for each image.
  absl::Status ReadRows(JsonValue& rows) {
    if (rows.is(JsonValue::Kind::kTensor)) return gathered_.AddTensor(rows, true);
    if (!rows.is(JsonValue::Kind::kList) || rows.items.empty()) {
      return InvalidArgument("'instances' is {}: want a list of images", rows.KindName());
    }
    for (JsonValue& row : rows.items) {
      JsonValue* value = &row;
      if (row.is(JsonValue::Kind::kObject) && !IsBase64(row)) {
        ASSIGN_OR_RETURN(value, OnlyInput(row));
      }
      RETURN_IF_ERROR(ReadImage(*value));
    }
    return absl::OkStatus();
  }

  // The value of "inputs": all images together.
  absl::Status ReadColumns(JsonValue& columns) {
    JsonValue* value = &columns;
    if (columns.is(JsonValue::Kind::kObject) && !IsBase64(columns)) {
      ASSIGN_OR_RETURN(value, OnlyInput(columns));
    }
    if (value->is(JsonValue::Kind::kTensor)) return gathered_.AddTensor(*value, true);
    if (!value->is(JsonValue::Kind::kList)) return ReadImage(*value);
    for (JsonValue& item : value->items) RETURN_IF_ERROR(ReadImage(item));
    return absl::OkStatus();
  }

  absl::Status ReadImage(JsonValue& value) {
    if (value.is(JsonValue::Kind::kTensor)) return gathered_.AddTensor(value, false);
    if (!IsBase64(value)) {
      return InvalidArgument(
          "an image is {}: want {{\"b64\": \"...\"}} with the bytes of its file, or {} "
          "floats",
          value.KindName(), gathered_.ShapeText());
    }
    ASSIGN_OR_RETURN(std::string bytes, DecodeBase64(value.members[0].value.string));
    return gathered_.AddImage(std::move(bytes));
  }

  absl::StatusOr<ClassifyRequest> Finish() && { return std::move(gathered_).Finish(); }

 private:
  static bool IsBase64(const JsonValue& value) {
    return value.is(JsonValue::Kind::kObject) && value.members.size() == 1 &&
           value.members[0].key == "b64" &&
           value.members[0].value.is(JsonValue::Kind::kString);
  }

  absl::StatusOr<JsonValue*> OnlyInput(JsonValue& named) {
    const std::string& input = session_.config().input;
    if (named.members.size() != 1 ||
        (named.members[0].key != kImageBytes && named.members[0].key != input)) {
      std::string names;
      for (const auto& [name, value] : named.members) {
        names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name);
      }
      return InvalidArgument("inputs are {}: want one, '{}' or '{}'",
                             names.empty() ? "missing" : names, kImageBytes, input);
    }
    return &named.members[0].value;
  }

  const model::Session& session_;
  GatheredImages gathered_;
};

absl::StatusOr<JsonValue> ParseBody(std::string text) {
  ASSIGN_OR_RETURN(JsonValue body, ParseJson(text));
  if (!body.is(JsonValue::Kind::kObject)) {
    return InvalidArgument("the body is {}: want a JSON object", body.KindName());
  }
  return body;
}

absl::Status CheckKeys(const JsonValue& body, std::span<const std::string_view> known) {
  for (const auto& [key, value] : body.members) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return InvalidArgument("unknown key '{}' in the request", key);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SignatureOf(const JsonValue& body) {
  const JsonValue* name = body.Find("signature_name");
  if (name == nullptr) return kDefaultSignature;
  if (!name->is(JsonValue::Kind::kString)) {
    return InvalidArgument("'signature_name' is {}: want a string", name->KindName());
  }
  return tensorflow_serving::ResolveSignature(name->string);
}

class PredictCall : public InferenceCall {
 public:
  using InferenceCall::InferenceCall;

 protected:
  absl::StatusOr<ClassifyRequest> Read(const model::Session& session,
                                       std::string text) override {
    ASSIGN_OR_RETURN(JsonValue body, ParseBody(std::move(text)));
    static constexpr std::string_view kKeys[] = {"signature_name", "instances", "inputs"};
    RETURN_IF_ERROR(CheckKeys(body, kKeys));
    ASSIGN_OR_RETURN(signature_, SignatureOf(body));
    JsonValue* rows = body.Find("instances");
    JsonValue* columns = body.Find("inputs");
    if ((rows == nullptr) == (columns == nullptr)) {
      return InvalidArgument("want 'instances' or 'inputs' in the request, found {}",
                             rows == nullptr ? "neither" : "both");
    }
    by_row_ = rows != nullptr;
    InputReader reader(session);
    RETURN_IF_ERROR(by_row_ ? reader.ReadRows(*rows) : reader.ReadColumns(*columns));
    ASSIGN_OR_RETURN(ClassifyRequest classify, std::move(reader).Finish());
    classify.probabilities = signature_ == kDefaultSignature;
    ASSIGN_OR_RETURN(const int top_k, TopKOf(app(), head()));
    classify.top_k = classify.probabilities ? 0 : top_k;
    return classify;
  }

  Response Write(const std::vector<ImageAnswer>& answers) const override {
    JsonWriter json;
    json.BeginObject();
    json.Key(by_row_ ? "predictions" : "outputs");
    if (signature_ == kDefaultSignature || by_row_) {
      json.BeginArray();
      for (const ImageAnswer& answer : answers) {
        if (signature_ == kDefaultSignature) {
          WriteProbabilities(answer, json);
        } else {
          json.BeginObject();
          for (const auto& [name, write] : kOutputs) write(answer, json.Key(name));
          json.EndObject();
        }
      }
      json.EndArray();
    } else {
      json.BeginObject();
      for (const auto& [name, write] : kOutputs) {
        json.Key(name).BeginArray();
        for (const ImageAnswer& answer : answers) write(answer, json);
        json.EndArray();
      }
      json.EndObject();
    }
    json.EndObject();
    return JsonResponse(std::move(json));
  }

 private:
  static void WriteProbabilities(const ImageAnswer& answer, JsonWriter& json) {
    json.BeginArray();
    for (const float p : answer.probabilities) json.Float(p);
    json.EndArray();
  }

  template <typename WriteOne>
  static void WriteLabels(const ImageAnswer& answer, JsonWriter& json,
                          const WriteOne& write) {
    json.BeginArray();
    for (const model::ScoredLabel& label : answer.labels) write(label);
    json.EndArray();
  }

  // Of the signature top_k.
  using WriteOutput = void (*)(const ImageAnswer&, JsonWriter&);
  static constexpr std::pair<const char*, WriteOutput> kOutputs[] = {
      {tensorflow_serving::kClasses,
       [](const ImageAnswer& answer, JsonWriter& json) {
         WriteLabels(answer, json, [&](const auto& label) { json.String(label.label); });
       }},
      {tensorflow_serving::kScores,
       [](const ImageAnswer& answer, JsonWriter& json) {
         WriteLabels(answer, json,
                     [&](const auto& label) { json.Float(label.probability); });
       }},
      {tensorflow_serving::kIndices,
       [](const ImageAnswer& answer, JsonWriter& json) {
         WriteLabels(answer, json, [&](const auto& label) { json.Integer(label.index); });
       }},
  };

  std::string signature_;
  bool by_row_ = true;
};

class ClassifyCall : public InferenceCall {
 public:
  using InferenceCall::InferenceCall;

 protected:
  absl::StatusOr<ClassifyRequest> Read(const model::Session& session,
                                       std::string text) override {
    ASSIGN_OR_RETURN(JsonValue body, ParseBody(std::move(text)));
    static constexpr std::string_view kKeys[] = {"signature_name", "context", "examples"};
    RETURN_IF_ERROR(CheckKeys(body, kKeys));
    RETURN_IF_ERROR(SignatureOf(body).status());
    JsonValue* examples = body.Find("examples");
    if (examples == nullptr || !examples->is(JsonValue::Kind::kList) ||
        examples->items.empty()) {
      return InvalidArgument("'examples' is {}: want a list of objects",
                             examples == nullptr ? "missing" : examples->KindName());
    }
    const JsonValue* context = body.Find("context");
    if (context != nullptr && !context->members.empty()) {
      return InvalidArgument("the model knows no feature '{}' of a context",
                             context->members[0].key);
    }
    InputReader reader(session);
    for (JsonValue& example : examples->items) {
      JsonValue* feature = example.Find(kImageBytes);
      if (feature == nullptr) feature = example.Find(tensorflow_serving::kImageFeature);
      if (feature == nullptr || example.members.size() != 1) {
        return InvalidArgument(
            "an example is {} with {} features: want one, '{}' or '{}'",
            example.KindName(), example.members.size(), kImageBytes,
            tensorflow_serving::kImageFeature);
      }
      if (feature->is(JsonValue::Kind::kList) && feature->items.size() == 1) {
        feature = &feature->items[0];
      }
      RETURN_IF_ERROR(reader.ReadImage(*feature));
    }
    ASSIGN_OR_RETURN(ClassifyRequest classify, std::move(reader).Finish());
    ASSIGN_OR_RETURN(classify.top_k, TopKOf(app(), head()));
    return classify;
  }

  Response Write(const std::vector<ImageAnswer>& answers) const override {
    JsonWriter json;
    json.BeginObject().Key("results").BeginArray();
    for (const ImageAnswer& answer : answers) {
      json.BeginArray();
      for (const model::ScoredLabel& label : answer.labels) {
        json.BeginArray().String(label.label).Float(label.probability).EndArray();
      }
      json.EndArray();
    }
    json.EndArray().EndObject();
    return JsonResponse(std::move(json));
  }
};

using tensorflow_serving::SignatureTensor;

void WriteTensors(const std::vector<SignatureTensor>& tensors, JsonWriter& json) {
  json.BeginObject();
  for (const SignatureTensor& tensor : tensors) {
    json.Key(tensor.key).BeginObject();
    json.Key("dtype").String(tensorflow::DataType_Name(tensor.dtype));
    json.Key("tensor_shape").BeginObject().Key("dim").BeginArray();
    for (const int64_t size : tensor.shape) {
      json.BeginObject().Key("size").String(std::to_string(size));
      json.Key("name").String("").EndObject();
    }
    json.EndArray().Key("unknown_rank").Boolean(false).EndObject();
    json.Key("name").String(tensor.name);
    json.EndObject();
  }
  json.EndObject();
}

void WriteSignatures(const model::Session& session, JsonWriter& json) {
  for (const auto& signature : tensorflow_serving::Signatures(session)) {
    json.Key(signature.name).BeginObject();
    WriteTensors(signature.inputs, json.Key("inputs"));
    WriteTensors(signature.outputs, json.Key("outputs"));
    json.Key("method_name").String(tensorflow_serving::kPredictMethod);
    json.EndObject();
  }
}

}  // namespace

void GetModelStatus(App& app, Request request, Responder responder) {
  const auto fail = [&](const absl::Status& status) {
    std::move(responder).Send(Failure(status, request.head, app));
  };
  const auto spec = SpecFromPath(request.head);
  if (!spec.ok()) return fail(spec.status());
  const auto versions = tensorflow_serving::VersionsOf(app.models, *spec);
  if (!versions.ok()) return fail(versions.status());
  JsonWriter json;
  json.BeginObject().Key("model_version_status").BeginArray();
  for (const VersionStatus& version : *versions) {
    json.BeginObject();
    json.Key("version").String(std::to_string(version.version));
    json.Key("state").String(VersionStateName(version.state));
    json.Key("status").BeginObject();
    json.Key("error_code").String(absl::StatusCodeToString(version.error.code()));
    json.Key("error_message").String(Message(version.error));
    json.EndObject().EndObject();
  }
  json.EndArray().EndObject();
  std::move(responder).Send(JsonResponse(std::move(json)));
}

void GetModelMetadata(App& app, Request request, Responder responder) {
  const auto model = ModelFromPath(app, request.head);
  if (!model.ok()) {
    return std::move(responder).Send(Failure(model.status(), request.head, app));
  }
  const model::Session& session = (*model)->session();
  JsonWriter json;
  json.BeginObject();
  json.Key("model_spec").BeginObject();
  json.Key("name").String(session.name());
  json.Key("signature_name").String("");
  json.Key("version").String(session.version());
  json.EndObject();
  json.Key("metadata").BeginObject();
  json.Key("signature_def").BeginObject();
  json.Key("signature_def").BeginObject();
  WriteSignatures(session, json);
  json.EndObject().EndObject().EndObject().EndObject();
  std::move(responder).Send(JsonResponse(std::move(json)));
}

void PostPredict(App& app, Request request, Responder responder) {
  InferenceCall::Start(
      std::make_shared<PredictCall>(app, std::move(request), std::move(responder)));
}

void PostClassifyExamples(App& app, Request request, Responder responder) {
  InferenceCall::Start(
      std::make_shared<ClassifyCall>(app, std::move(request), std::move(responder)));
}

void PostRegress(App& app, Request request, Responder responder) {
  std::move(responder).Send(
      Failure(tensorflow_serving::NoRegression(), request.head, app));
}

}  // namespace oriel::serving::http
