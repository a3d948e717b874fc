#include "serving/grpc/predict_messages.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <utility>

#include "serving/open_inference.h"
#include "serving/tensorflow_serving.h"

namespace oriel::serving::grpc {
namespace {

namespace tfs = tensorflow_serving;
using open_inference::InputTensor;
using ::tensorflow::TensorProto;

// The shape of images: a scalar is one.
absl::StatusOr<std::vector<int64_t>> ShapeOf(const TensorProto& tensor) {
  if (tensor.tensor_shape().unknown_rank()) {
    return InvalidArgument("a tensor of unknown rank");
  }
  std::vector<int64_t> shape;
  for (const auto& dim : tensor.tensor_shape().dim()) shape.push_back(dim.size());
  if (shape.empty() && tensor.dtype() == ::tensorflow::DT_STRING) shape = {1};
  return shape;
}

// The elements as TensorFlow writes them into tensor_content: all lengths (varints), then
// all bytes.
absl::StatusOr<ClassifyRequest> ImagesFromContent(const std::string& content,
                                                  const InputTensor& input) {
  google::protobuf::io::CodedInputStream in(
      reinterpret_cast<const uint8_t*>(content.data()), static_cast<int>(content.size()));
  // A length takes a byte.
  if (input.images() > content.size()) {
    return InvalidArgument("input '{}': tensor_content ends before {} lengths",
                           input.name(), input.images());
  }
  std::vector<uint64_t> lengths(input.images());
  uint64_t total = 0;
  for (uint64_t& length : lengths) {
    if (!in.ReadVarint64(&length) || length > content.size()) {
      return InvalidArgument("input '{}': tensor_content has no {} lengths", input.name(),
                             input.images());
    }
    total += length;
  }
  size_t offset = static_cast<size_t>(in.CurrentPosition());
  if (total != content.size() - offset) {
    return InvalidArgument("input '{}': tensor_content has {} bytes of strings: want {}",
                           input.name(), content.size() - offset, total);
  }
  ClassifyRequest classify;
  for (const uint64_t length : lengths) {
    classify.images.push_back(
        std::make_shared<const std::string>(content.substr(offset, length)));
    offset += length;
  }
  return classify;
}

absl::Status CheckCount(int found, size_t want, const InputTensor& input,
                        const char* field) {
  if (static_cast<size_t>(found) == want) return absl::OkStatus();
  return InvalidArgument("input '{}' has {} values in {}: want {}", input.name(), found,
                         field, want);
}

absl::StatusOr<ClassifyRequest> ReadTensor(const std::string& name, TensorProto& tensor,
                                           const model::Session& session) {
  const bool is_string = tensor.dtype() == ::tensorflow::DT_STRING;
  if (!is_string && tensor.dtype() != ::tensorflow::DT_FLOAT) {
    return InvalidArgument(
        "input '{}' is {}: want DT_FLOAT, or DT_STRING of encoded images", name,
        ::tensorflow::DataType_Name(tensor.dtype()));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> shape, ShapeOf(tensor));
  ASSIGN_OR_RETURN(const InputTensor input,
                   InputTensor::Make(session, name, is_string ? "BYTES" : "FP32", shape));
  if (!tensor.tensor_content().empty()) {
    return is_string ? ImagesFromContent(tensor.tensor_content(), input)
                     : input.FromRaw(tensor.tensor_content());
  }
  ClassifyRequest classify;
  if (is_string) {
    RETURN_IF_ERROR(
        CheckCount(tensor.string_val_size(), input.images(), input, "string_val"));
    for (std::string& image : *tensor.mutable_string_val()) {
      classify.images.push_back(std::make_shared<const std::string>(std::move(image)));
    }
  } else {
    RETURN_IF_ERROR(
        CheckCount(tensor.float_val_size(), input.floats(), input, "float_val"));
    classify.pixels.assign(tensor.float_val().begin(), tensor.float_val().end());
  }
  return classify;
}

// The outputs of the signature, or those of them that the filter names.
absl::StatusOr<std::vector<std::string>> ReadOutputs(
    const tensorflow::serving::PredictRequest& request, const std::string& signature) {
  std::vector<std::string> outputs =
      signature == tfs::kDefaultSignature
          ? std::vector<std::string>{tfs::kProbabilities}
          : std::vector<std::string>{tfs::kClasses, tfs::kScores, tfs::kIndices};
  if (request.output_filter().empty()) return outputs;
  const auto wanted = [&](const std::string& name) {
    return std::ranges::find(request.output_filter(), name) !=
           request.output_filter().end();
  };
  for (const std::string& name : request.output_filter()) {
    if (std::ranges::find(outputs, name) == outputs.end()) {
      return InvalidArgument("the signature '{}' has no output '{}'", signature, name);
    }
  }
  std::erase_if(outputs, [&](const std::string& name) { return !wanted(name); });
  return outputs;
}

TensorProto Matrix(::tensorflow::DataType dtype, size_t rows, size_t columns) {
  TensorProto tensor;
  tensor.set_dtype(dtype);
  tensor.mutable_tensor_shape()->add_dim()->set_size(static_cast<int64_t>(rows));
  tensor.mutable_tensor_shape()->add_dim()->set_size(static_cast<int64_t>(columns));
  return tensor;
}

TensorProto Output(const std::string& name, const std::vector<ImageAnswer>& answers) {
  const size_t rows = answers.size();
  if (name == tfs::kProbabilities) {
    TensorProto tensor =
        Matrix(::tensorflow::DT_FLOAT, rows, answers[0].probabilities.size());
    for (const ImageAnswer& answer : answers) {
      tensor.mutable_float_val()->Add(answer.probabilities.begin(),
                                      answer.probabilities.end());
    }
    return tensor;
  }
  const ::tensorflow::DataType dtype = name == tfs::kClasses  ? ::tensorflow::DT_STRING
                                       : name == tfs::kScores ? ::tensorflow::DT_FLOAT
                                                              : ::tensorflow::DT_INT32;
  TensorProto tensor = Matrix(dtype, rows, answers[0].labels.size());
  for (const ImageAnswer& answer : answers) {
    for (const model::ScoredLabel& label : answer.labels) {
      if (name == tfs::kClasses) {
        tensor.add_string_val(label.label);
      } else if (name == tfs::kScores) {
        tensor.add_float_val(label.probability);
      } else {
        tensor.add_int_val(label.index);
      }
    }
  }
  return tensor;
}

absl::StatusOr<std::string*> ImageOf(::tensorflow::Example& example) {
  auto& features = *example.mutable_features()->mutable_feature();
  std::string* image = nullptr;
  for (const char* name : {tfs::kImageBytes, tfs::kImageFeature}) {
    const auto feature = features.find(name);
    if (feature == features.end()) continue;
    auto& values = *feature->second.mutable_bytes_list()->mutable_value();
    if (image != nullptr || values.size() != 1) {
      return InvalidArgument("an example has {} images: want one",
                             image != nullptr ? 2 : values.size());
    }
    image = &values[0];
  }
  if (image == nullptr) {
    return InvalidArgument("an example has neither the feature '{}' nor '{}'",
                           tfs::kImageBytes, tfs::kImageFeature);
  }
  return image;
}

void AddTensorInfos(const std::vector<tfs::SignatureTensor>& tensors,
                    google::protobuf::Map<std::string, ::tensorflow::TensorInfo>& infos) {
  for (const tfs::SignatureTensor& tensor : tensors) {
    ::tensorflow::TensorInfo& info = infos[tensor.key];
    info.set_name(tensor.name);
    info.set_dtype(tensor.dtype);
    for (const int64_t size : tensor.shape) {
      info.mutable_tensor_shape()->add_dim()->set_size(size);
    }
  }
}

}  // namespace

ModelSpec SpecFrom(const tensorflow::serving::ModelSpec& proto) {
  ModelSpec spec{.name = proto.name()};
  if (proto.has_version()) spec.version = proto.version().value();
  spec.label = proto.version_label();
  return spec;
}

tensorflow::serving::ModelSpec AnsweringSpec(const model::Session& session,
                                             const std::string& signature) {
  tensorflow::serving::ModelSpec spec;
  spec.set_name(session.name());
  if (const auto version = model::ParseVersion(session.version())) {
    spec.mutable_version()->set_value(*version);
  }
  spec.set_signature_name(signature);
  return spec;
}

absl::StatusOr<PredictPlan> ReadPredictRequest(
    tensorflow::serving::PredictRequest& request, const model::Session& session,
    int top_k) {
  ASSIGN_OR_RETURN(const std::string signature,
                   tfs::ResolveSignature(request.model_spec().signature_name()));
  if (request.inputs().size() != 1) {
    return InvalidArgument("the request has {} inputs: want one, '{}' or '{}'",
                           request.inputs().size(), tfs::kImageBytes,
                           session.config().input);
  }
  PredictPlan plan;
  ASSIGN_OR_RETURN(plan.outputs, ReadOutputs(request, signature));
  auto& [name, tensor] = *request.mutable_inputs()->begin();
  ASSIGN_OR_RETURN(plan.classify, ReadTensor(name, tensor, session));
  plan.spec = AnsweringSpec(session, signature);
  plan.classify.probabilities = signature == tfs::kDefaultSignature;
  plan.classify.top_k = plan.classify.probabilities ? 0 : top_k;
  return plan;
}

tensorflow::serving::PredictResponse WritePredictResponse(
    const PredictPlan& plan, const std::vector<ImageAnswer>& answers) {
  tensorflow::serving::PredictResponse response;
  *response.mutable_model_spec() = plan.spec;
  for (const std::string& name : plan.outputs) {
    (*response.mutable_outputs())[name] = Output(name, answers);
  }
  return response;
}

absl::StatusOr<ClassifyRequest> ReadExamples(tensorflow::serving::Input& input,
                                             int top_k) {
  auto* examples = input.has_example_list_with_context()
                       ? input.mutable_example_list_with_context()->mutable_examples()
                       : input.mutable_example_list()->mutable_examples();
  if (examples->empty()) return InvalidArgument("the request has no examples");
  ClassifyRequest classify;
  for (::tensorflow::Example& example : *examples) {
    ASSIGN_OR_RETURN(std::string * image, ImageOf(example));
    classify.images.push_back(std::make_shared<const std::string>(std::move(*image)));
  }
  classify.top_k = top_k;
  return classify;
}

void WriteClassifications(const std::vector<ImageAnswer>& answers,
                          tensorflow::serving::ClassificationResult& result) {
  for (const ImageAnswer& answer : answers) {
    auto& classes = *result.add_classifications();
    for (const model::ScoredLabel& label : answer.labels) {
      auto& entry = *classes.add_classes();
      entry.set_label(label.label);
      entry.set_score(label.probability);
    }
  }
}

absl::StatusOr<ModelSpec> CheckTasks(
    const tensorflow::serving::MultiInferenceRequest& request) {
  if (request.tasks().empty()) return InvalidArgument("the request has no tasks");
  const ModelSpec first = SpecFrom(request.tasks(0).model_spec());
  for (const auto& task : request.tasks()) {
    const ModelSpec spec = SpecFrom(task.model_spec());
    if (spec.name != first.name || spec.version != first.version ||
        spec.label != first.label) {
      return InvalidArgument("the tasks name several models: want one");
    }
    RETURN_IF_ERROR(tfs::ResolveSignature(task.model_spec().signature_name()).status());
    if (task.method_name() == tfs::kClassifyMethod) continue;
    if (task.method_name() == tfs::kRegressMethod) return tfs::NoRegression();
    return InvalidArgument("there is no method '{}': want '{}'", task.method_name(),
                           tfs::kClassifyMethod);
  }
  return first;
}

tensorflow::serving::SignatureDefMap DescribeSignatures(const model::Session& session) {
  tensorflow::serving::SignatureDefMap map;
  for (const tfs::Signature& signature : tfs::Signatures(session)) {
    ::tensorflow::SignatureDef& def = (*map.mutable_signature_def())[signature.name];
    AddTensorInfos(signature.inputs, *def.mutable_inputs());
    AddTensorInfos(signature.outputs, *def.mutable_outputs());
    def.set_method_name(tfs::kPredictMethod);
  }
  return map;
}

void WriteVersionStatus(const VersionStatus& version,
                        tensorflow::serving::ModelVersionStatus& out) {
  using Proto = tensorflow::serving::ModelVersionStatus;
  const auto state = [&] {
    switch (version.state) {
      case VersionState::kStart:
        return Proto::START;
      case VersionState::kLoading:
        return Proto::LOADING;
      case VersionState::kAvailable:
        return Proto::AVAILABLE;
      case VersionState::kUnloading:
        return Proto::UNLOADING;
      case VersionState::kEnd:
        return Proto::END;
    }
    return Proto::UNKNOWN;
  };
  out.set_version(version.version);
  out.set_state(state());
  out.mutable_status()->set_error_code(version.error.raw_code());
  out.mutable_status()->set_error_message(std::string(Message(version.error)));
}

}  // namespace oriel::serving::grpc
