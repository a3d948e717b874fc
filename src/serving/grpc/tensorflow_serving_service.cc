#include "serving/grpc/tensorflow_serving_service.h"

#include <utility>

#include "serving/grpc/predict_messages.h"
#include "serving/grpc/stacked.h"
#include "serving/grpc/unary_call.h"
#include "serving/tensorflow_serving.h"
#include "tensorflow_serving/model_service.grpc.pb.h"
#include "tensorflow_serving/prediction_service.grpc.pb.h"

namespace oriel::serving::grpc {
namespace {

namespace proto = tensorflow::serving;
namespace tfs = tensorflow_serving;
using ::grpc::ByteBuffer;
using ::grpc::CallbackServerContext;
using ::grpc::ServerUnaryReactor;

constexpr Protocol kProtocol = Protocol::kTensorFlowServing;

// A call that is about images.
template <typename Request>
class ImagesCall : public InferenceCall {
 public:
  ImagesCall(const Context& context, int top_k) : InferenceCall(context), top_k_(top_k) {}

 protected:
  absl::StatusOr<ModelSpec> Parse(ByteBuffer message) override {
    RETURN_IF_ERROR(
        ParseMessage(std::move(message), context().max_message_bytes, request_));
    return Spec();
  }

  // By the request.
  virtual absl::StatusOr<ModelSpec> Spec() const = 0;

  const int top_k_;
  Request request_;
};

class PredictCall : public ImagesCall<proto::PredictRequest> {
 public:
  using ImagesCall::ImagesCall;

 protected:
  absl::StatusOr<ModelSpec> Spec() const override {
    return SpecFrom(request_.model_spec());
  }

  absl::StatusOr<ClassifyRequest> Read(const model::Session& session) override {
    ASSIGN_OR_RETURN(plan_, ReadPredictRequest(request_, session, top_k_));
    request_.Clear();
    return std::move(plan_.classify);
  }

  absl::StatusOr<ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const override {
    return SerializeMessage(WritePredictResponse(plan_, answers));
  }

 private:
  PredictPlan plan_;
};

class ClassifyCall : public ImagesCall<proto::ClassificationRequest> {
 public:
  using ImagesCall::ImagesCall;

 protected:
  absl::StatusOr<ModelSpec> Spec() const override {
    return SpecFrom(request_.model_spec());
  }

  absl::StatusOr<ClassifyRequest> Read(const model::Session& session) override {
    ASSIGN_OR_RETURN(const std::string signature,
                     tfs::ResolveSignature(request_.model_spec().signature_name()));
    spec_ = AnsweringSpec(session, signature);
    return ReadExamples(*request_.mutable_input(), top_k_);
  }

  absl::StatusOr<ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const override {
    proto::ClassificationResponse response;
    *response.mutable_model_spec() = spec_;
    WriteClassifications(answers, *response.mutable_result());
    return SerializeMessage(response);
  }

 private:
  proto::ModelSpec spec_;
};

// Several tasks over the same examples: what differs between them here is nothing.
class MultiInferenceCall : public ImagesCall<proto::MultiInferenceRequest> {
 public:
  using ImagesCall::ImagesCall;

 protected:
  absl::StatusOr<ModelSpec> Spec() const override { return CheckTasks(request_); }

  absl::StatusOr<ClassifyRequest> Read(const model::Session& session) override {
    for (const auto& task : request_.tasks()) {
      ASSIGN_OR_RETURN(const std::string signature,
                       tfs::ResolveSignature(task.model_spec().signature_name()));
      specs_.push_back(AnsweringSpec(session, signature));
    }
    return ReadExamples(*request_.mutable_input(), top_k_);
  }

  absl::StatusOr<ByteBuffer> Write(
      const std::vector<ImageAnswer>& answers) const override {
    proto::MultiInferenceResponse response;
    for (const proto::ModelSpec& spec : specs_) {
      proto::InferenceResult& result = *response.add_results();
      *result.mutable_model_spec() = spec;
      WriteClassifications(answers, *result.mutable_classification_result());
    }
    return SerializeMessage(response);
  }

 private:
  std::vector<proto::ModelSpec> specs_;
};

absl::Status DescribeModel(const Context& context,
                           const proto::GetModelMetadataRequest& request,
                           proto::GetModelMetadataResponse& response) {
  constexpr char kSignatureDef[] = "signature_def";
  if (request.metadata_field().empty()) {
    return InvalidArgument("metadata_field is empty: want '{}'", kSignatureDef);
  }
  for (const std::string& field : request.metadata_field()) {
    if (field != kSignatureDef) {
      return InvalidArgument("there is no metadata '{}': want '{}'", field,
                             kSignatureDef);
    }
  }
  if (context.draining) return Unavailable("the server is shutting down");
  ASSIGN_OR_RETURN(const auto model, context.models.Get(SpecFrom(request.model_spec())));
  *response.mutable_model_spec() = AnsweringSpec(model->session(), "");
  (*response.mutable_metadata())[kSignatureDef].PackFrom(
      DescribeSignatures(model->session()));
  return absl::OkStatus();
}

absl::Status TellStatus(const Context& context,
                        const proto::GetModelStatusRequest& request,
                        proto::GetModelStatusResponse& response) {
  ASSIGN_OR_RETURN(const auto versions,
                   tfs::VersionsOf(context.models, SpecFrom(request.model_spec())));
  for (const VersionStatus& version : versions) {
    WriteVersionStatus(version, *response.add_model_version_status());
  }
  return absl::OkStatus();
}

absl::Status RefuseConfig(const Context&, const proto::ReloadConfigRequest&,
                          proto::ReloadConfigResponse&) {
  return Unimplemented(
      "models follow from folders, which are looked at every --poll-interval; with "
      "--load-on-demand the calls RepositoryModelLoad and RepositoryModelUnload of "
      "inference.GRPCInferenceService decide");
}

using PredictionMethods =
    Stacked<proto::PredictionService::Service,
            proto::PredictionService::WithRawCallbackMethod_Classify,
            proto::PredictionService::WithRawCallbackMethod_Regress,
            proto::PredictionService::WithRawCallbackMethod_Predict,
            proto::PredictionService::WithRawCallbackMethod_MultiInference,
            proto::PredictionService::WithRawCallbackMethod_GetModelMetadata>;

class PredictionService final : public PredictionMethods {
 public:
  explicit PredictionService(const Context& context) : context_(context) {}

  ServerUnaryReactor* Predict(CallbackServerContext* call, const ByteBuffer* request,
                              ByteBuffer* response) override {
    return Start<PredictCall>({call, request, response, kProtocol,
                               "/tensorflow.serving.PredictionService/Predict"});
  }
  ServerUnaryReactor* Classify(CallbackServerContext* call, const ByteBuffer* request,
                               ByteBuffer* response) override {
    return Start<ClassifyCall>({call, request, response, kProtocol,
                                "/tensorflow.serving.PredictionService/Classify"});
  }
  ServerUnaryReactor* MultiInference(CallbackServerContext* call,
                                     const ByteBuffer* request,
                                     ByteBuffer* response) override {
    return Start<MultiInferenceCall>(
        {call, request, response, kProtocol,
         "/tensorflow.serving.PredictionService/MultiInference"});
  }
  ServerUnaryReactor* Regress(CallbackServerContext* call, const ByteBuffer* request,
                              ByteBuffer* response) override {
    return Refuse(context_,
                  {call, request, response, kProtocol,
                   "/tensorflow.serving.PredictionService/Regress"},
                  tfs::NoRegression());
  }
  ServerUnaryReactor* GetModelMetadata(CallbackServerContext* call,
                                       const ByteBuffer* request,
                                       ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/tensorflow.serving.PredictionService/GetModelMetadata"},
                     DescribeModel);
  }

 private:
  template <typename Call>
  ServerUnaryReactor* Start(const UnaryCall& call) {
    // As REST's ?top_k=.
    constexpr int kMost = 1 << 20;
    const auto top_k = NumberIn(*call.context, "top-k", 1, kMost);
    if (!top_k.ok()) return Refuse(context_, call, top_k.status());
    return StartInference(
        context_, call,
        std::make_shared<Call>(context_, top_k->value_or(context_.top_k)));
  }

  const Context& context_;
};

using ModelMethods =
    Stacked<proto::ModelService::Service,
            proto::ModelService::WithRawCallbackMethod_GetModelStatus,
            proto::ModelService::WithRawCallbackMethod_HandleReloadConfigRequest>;

class ModelService final : public ModelMethods {
 public:
  explicit ModelService(const Context& context) : context_(context) {}

  ServerUnaryReactor* GetModelStatus(CallbackServerContext* call,
                                     const ByteBuffer* request,
                                     ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/tensorflow.serving.ModelService/GetModelStatus"},
                     TellStatus);
  }
  ServerUnaryReactor* HandleReloadConfigRequest(CallbackServerContext* call,
                                                const ByteBuffer* request,
                                                ByteBuffer* response) override {
    return AnswerNow(
        context_,
        {call, request, response, kProtocol,
         "/tensorflow.serving.ModelService/HandleReloadConfigRequest", Access::kAdmin},
        RefuseConfig);
  }

 private:
  const Context& context_;
};

}  // namespace

std::unique_ptr<::grpc::Service> MakePredictionService(const Context& context) {
  return std::make_unique<PredictionService>(context);
}

std::unique_ptr<::grpc::Service> MakeModelService(const Context& context) {
  return std::make_unique<ModelService>(context);
}

}  // namespace oriel::serving::grpc
