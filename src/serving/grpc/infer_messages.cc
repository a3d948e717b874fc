#include "serving/grpc/infer_messages.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "serving/open_inference.h"

namespace oriel::serving::grpc {
namespace {

using open_inference::InputTensor;
using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;

const inference::InferParameter* Find(const Parameters& parameters, const char* name) {
  const auto it = parameters.find(name);
  return it == parameters.end() ? nullptr : &it->second;
}

// A number from 0 on; `fallback` without the parameter.
absl::StatusOr<int64_t> Count(const Parameters& parameters, const char* name,
                              int64_t fallback) {
  const inference::InferParameter* parameter = Find(parameters, name);
  if (parameter == nullptr) return fallback;
  switch (parameter->parameter_choice_case()) {
    case inference::InferParameter::kInt64Param:
      if (parameter->int64_param() < 0) break;
      return parameter->int64_param();
    case inference::InferParameter::kUint64Param:
      return static_cast<int64_t>(std::min<uint64_t>(
          parameter->uint64_param(), std::numeric_limits<int64_t>::max()));
    default:
      break;
  }
  return InvalidArgument("parameter '{}': want a whole number from 0", name);
}

absl::StatusOr<bool> Flag(const Parameters& parameters, const char* name, bool fallback) {
  const inference::InferParameter* parameter = Find(parameters, name);
  if (parameter == nullptr) return fallback;
  if (parameter->parameter_choice_case() != inference::InferParameter::kBoolParam) {
    return InvalidArgument("parameter '{}': want true or false", name);
  }
  return parameter->bool_param();
}

absl::Status RefuseSharedMemory(const Parameters& parameters) {
  if (Find(parameters, "shared_memory_region") == nullptr) return absl::OkStatus();
  return Unimplemented("there is no shared memory: send the tensor itself");
}

// The only field of `contents` that holds anything is the one of the datatype.
absl::Status CheckContents(const inference::InferTensorContents& contents,
                           const InputTensor& tensor) {
  const int wanted =
      tensor.is_bytes() ? contents.bytes_contents_size() : contents.fp32_contents_size();
  const int all = contents.bool_contents_size() + contents.int_contents_size() +
                  contents.int64_contents_size() + contents.uint_contents_size() +
                  contents.uint64_contents_size() + contents.fp32_contents_size() +
                  contents.fp64_contents_size() + contents.bytes_contents_size();
  const size_t want = tensor.is_bytes() ? tensor.images() : tensor.floats();
  if (wanted == all && static_cast<size_t>(wanted) == want) return absl::OkStatus();
  return InvalidArgument(
      "input '{}' has {} values in {} and {} others: want {}", tensor.name(), wanted,
      tensor.is_bytes() ? "bytes_contents" : "fp32_contents", all - wanted, want);
}

absl::StatusOr<ClassifyRequest> FromContents(inference::InferTensorContents& contents,
                                             const InputTensor& tensor) {
  RETURN_IF_ERROR(CheckContents(contents, tensor));
  ClassifyRequest classify;
  for (std::string& image : *contents.mutable_bytes_contents()) {
    classify.images.push_back(std::make_shared<const std::string>(std::move(image)));
  }
  classify.pixels.assign(contents.fp32_contents().begin(),
                         contents.fp32_contents().end());
  return classify;
}

absl::StatusOr<ClassifyRequest> ReadInput(inference::ModelInferRequest& request,
                                          const model::Session& session) {
  if (request.inputs_size() != 1) {
    return InvalidArgument("the request has {} inputs: want one", request.inputs_size());
  }
  auto& input = *request.mutable_inputs(0);
  RETURN_IF_ERROR(RefuseSharedMemory(input.parameters()));
  ASSIGN_OR_RETURN(
      const InputTensor tensor,
      InputTensor::Make(session, input.name(), input.datatype(),
                        {input.shape().data(), static_cast<size_t>(input.shape_size())}));
  if (request.raw_input_contents_size() == 0) {
    return FromContents(*input.mutable_contents(), tensor);
  }
  if (request.raw_input_contents_size() != 1 || input.has_contents()) {
    return InvalidArgument(
        "raw_input_contents has {} entries{}: want one for each input, "
        "and no contents",
        request.raw_input_contents_size(),
        input.has_contents() ? " beside contents" : "");
  }
  return tensor.FromRaw(request.raw_input_contents(0));
}

absl::Status ReadOutputs(const inference::ModelInferRequest& request,
                         const model::Session& session, InferCallPlan& plan) {
  plan.output = open_inference::kProbabilities;
  if (request.outputs_size() == 0) return absl::OkStatus();
  if (request.outputs_size() > 1) {
    return InvalidArgument("the request has {} outputs: want one",
                           request.outputs_size());
  }
  const auto& output = request.outputs(0);
  RETURN_IF_ERROR(open_inference::CheckOutput(session, output.name()));
  RETURN_IF_ERROR(RefuseSharedMemory(output.parameters()));
  plan.output = output.name();
  ASSIGN_OR_RETURN(const int64_t k, Count(output.parameters(), "classification", 0));
  plan.classification = static_cast<int>(std::min<int64_t>(k, session.num_classes()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelSpec> SpecFrom(const std::string& name, const std::string& version) {
  ModelSpec spec{.name = name};
  if (version.empty()) return spec;
  spec.version = model::ParseVersion(version);
  if (!spec.version.has_value()) {
    return InvalidArgument("version '{}' is no number", version);
  }
  return spec;
}

absl::StatusOr<InferCallPlan> ReadInferRequest(inference::ModelInferRequest& request,
                                               const model::Session& session,
                                               TimePoint now) {
  InferCallPlan plan;
  plan.model_name = session.name();
  plan.model_version = session.version();
  plan.id = request.id();
  RETURN_IF_ERROR(ReadOutputs(request, session, plan));
  ASSIGN_OR_RETURN(plan.classify, ReadInput(request, session));
  plan.classify.top_k = plan.classification;
  plan.classify.probabilities = plan.classification == 0;
  ASSIGN_OR_RETURN(const int64_t timeout_us, Count(request.parameters(), "timeout", 0));
  plan.classify.deadline = open_inference::DeadlineAfter(now, timeout_us);
  ASSIGN_OR_RETURN(const int64_t priority, Count(request.parameters(), "priority", 0));
  plan.classify.priority = open_inference::PriorityFrom(priority);
  ASSIGN_OR_RETURN(plan.classify.honor_exif,
                   Flag(request.parameters(), "honor_exif", true));
  return plan;
}

inference::ModelInferResponse WriteInferResponse(
    const InferCallPlan& plan, const std::vector<ImageAnswer>& answers) {
  inference::ModelInferResponse response;
  response.set_model_name(plan.model_name);
  response.set_model_version(plan.model_version);
  response.set_id(plan.id);
  auto& output = *response.add_outputs();
  const bool classified = plan.classification > 0;
  output.set_name(plan.output);
  output.set_datatype(classified ? "BYTES" : "FP32");
  output.add_shape(static_cast<int64_t>(answers.size()));
  output.add_shape(static_cast<int64_t>(classified ? answers[0].labels.size()
                                                   : answers[0].probabilities.size()));
  std::string& raw = *response.add_raw_output_contents();
  for (const ImageAnswer& answer : answers) {
    for (const model::ScoredLabel& label : answer.labels) {
      open_inference::AppendElement(open_inference::ClassificationText(label), raw);
    }
    raw.append(reinterpret_cast<const char*>(answer.probabilities.data()),
               answer.probabilities.size() * sizeof(float));
  }
  return response;
}

}  // namespace oriel::serving::grpc
