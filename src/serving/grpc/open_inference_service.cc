#include "serving/grpc/open_inference_service.h"

#include <chrono>
#include <utility>

#include "inference/grpc_service.grpc.pb.h"
#include "serving/grpc/call_log.h"
#include "serving/grpc/infer_call.h"
#include "serving/grpc/infer_messages.h"
#include "serving/grpc/infer_stream.h"
#include "serving/grpc/stacked.h"
#include "serving/grpc/unary_call.h"
#include "serving/open_inference.h"
#include "serving/statistics.h"

namespace oriel::serving::grpc {
namespace {

using ::grpc::ByteBuffer;
using ::grpc::CallbackServerContext;
using ::grpc::ServerUnaryReactor;

// All methods take messages as bytes, which are bounded and parsed here (ParseMessage).
using Service = inference::GRPCInferenceService;
using Methods = Stacked<Service::Service, Service::WithRawCallbackMethod_ServerLive,
                        Service::WithRawCallbackMethod_ServerReady,
                        Service::WithRawCallbackMethod_ModelReady,
                        Service::WithRawCallbackMethod_ServerMetadata,
                        Service::WithRawCallbackMethod_ModelMetadata,
                        Service::WithRawCallbackMethod_ModelConfig,
                        Service::WithRawCallbackMethod_ModelStatistics,
                        Service::WithRawCallbackMethod_RepositoryIndex,
                        Service::WithRawCallbackMethod_RepositoryModelLoad,
                        Service::WithRawCallbackMethod_RepositoryModelUnload,
                        Service::WithRawCallbackMethod_ModelInfer,
                        Service::WithRawCallbackMethod_ModelStreamInfer,
                        Service::WithRawCallbackMethod_SystemSharedMemoryStatus,
                        Service::WithRawCallbackMethod_SystemSharedMemoryRegister,
                        Service::WithRawCallbackMethod_SystemSharedMemoryUnregister,
                        Service::WithRawCallbackMethod_CudaSharedMemoryStatus,
                        Service::WithRawCallbackMethod_CudaSharedMemoryRegister,
                        Service::WithRawCallbackMethod_CudaSharedMemoryUnregister,
                        Service::WithRawCallbackMethod_TraceSetting,
                        Service::WithRawCallbackMethod_LogSettings>;

absl::Status Live(const Context&, const inference::ServerLiveRequest&,
                  inference::ServerLiveResponse& response) {
  response.set_live(true);
  return absl::OkStatus();
}

absl::Status Ready(const Context& context, const inference::ServerReadyRequest&,
                   inference::ServerReadyResponse& response) {
  response.set_ready(
      open_inference::ServerReadiness(context.models, context.draining).ok());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ServedModel>> Find(const Context& context,
                                                  const std::string& name,
                                                  const std::string& version) {
  if (context.draining) return Unavailable("the server is shutting down");
  ASSIGN_OR_RETURN(const ModelSpec spec, SpecFrom(name, version));
  return context.models.Get(spec);
}

absl::Status ModelIsReady(const Context& context,
                          const inference::ModelReadyRequest& request,
                          inference::ModelReadyResponse& response) {
  const auto model = Find(context, request.name(), request.version());
  if (absl::IsInvalidArgument(model.status())) return model.status();
  response.set_ready(model.ok());
  return absl::OkStatus();
}

absl::Status DescribeServer(const Context&, const inference::ServerMetadataRequest&,
                            inference::ServerMetadataResponse& response) {
  response.set_name(open_inference::kServerName);
  response.set_version(ORIEL_VERSION);
  for (const std::string_view name : open_inference::kExtensions) {
    response.add_extensions(std::string(name));
  }
  return absl::OkStatus();
}

void AddTensor(google::protobuf::RepeatedPtrField<
                   inference::ModelMetadataResponse::TensorMetadata>& tensors,
               const std::string& name, std::initializer_list<int64_t> shape) {
  auto& tensor = *tensors.Add();
  tensor.set_name(name);
  tensor.set_datatype("FP32");
  for (const int64_t size : shape) tensor.add_shape(size);
}

absl::Status DescribeModel(const Context& context,
                           const inference::ModelMetadataRequest& request,
                           inference::ModelMetadataResponse& response) {
  ASSIGN_OR_RETURN(const auto model, Find(context, request.name(), request.version()));
  const model::Session& session = model->session();
  response.set_name(session.name());
  for (std::string& version :
       open_inference::AvailableVersions(context.models, session.name())) {
    response.add_versions(std::move(version));
  }
  response.set_platform(open_inference::kPlatform);
  AddTensor(*response.mutable_inputs(), session.config().input,
            {-1, session.config().height, session.config().width, 3});
  AddTensor(*response.mutable_outputs(), open_inference::kProbabilities,
            {-1, session.num_classes()});
  return absl::OkStatus();
}

absl::Status ConfigureModel(const Context& context,
                            const inference::ModelConfigRequest& request,
                            inference::ModelConfigResponse& response) {
  ASSIGN_OR_RETURN(const auto model, Find(context, request.name(), request.version()));
  const model::Session& session = model->session();
  inference::ModelConfig& config = *response.mutable_config();
  config.set_name(session.name());
  config.set_platform(open_inference::kPlatform);
  config.set_backend(open_inference::kBackend);
  config.set_max_batch_size(session.options().max_batch);
  inference::ModelInput& input = *config.add_input();
  input.set_name(session.config().input);
  input.set_data_type(inference::TYPE_FP32);
  input.set_format(inference::ModelInput::FORMAT_NHWC);
  for (const int64_t size : {session.config().height, session.config().width, 3}) {
    input.add_dims(size);
  }
  inference::ModelOutput& output = *config.add_output();
  output.set_name(open_inference::kProbabilities);
  output.set_data_type(inference::TYPE_FP32);
  output.add_dims(session.num_classes());
  output.set_label_filename(model::kDescriptionsFile);
  config.mutable_dynamic_batching()->add_preferred_batch_size(
      session.options().max_batch);
  config.mutable_model_transaction_policy()->set_decoupled(false);
  config.mutable_response_cache()->set_enable(model->caches_answers());
  return absl::OkStatus();
}

void WriteTally(const Tally& tally, inference::StatisticDuration* duration) {
  duration->set_count(tally.count);
  duration->set_ns(tally.ns);
}

void WriteStatistics(const ServedModel& model, inference::ModelStatistics& out) {
  const StatisticsSnapshot statistics = model.statistics();
  out.set_name(model.session().name());
  out.set_version(model.session().version());
  const auto last = std::chrono::duration_cast<std::chrono::milliseconds>(
      statistics.last_inference.time_since_epoch());
  out.set_last_inference(static_cast<uint64_t>(last.count()));
  out.set_inference_count(statistics.inferences);
  out.set_execution_count(statistics.Executions());
  inference::InferStatistics& all = *out.mutable_inference_stats();
  WriteTally(statistics.success, all.mutable_success());
  WriteTally(statistics.AllFailures(), all.mutable_fail());
  WriteTally(statistics.queue, all.mutable_queue());
  WriteTally(statistics.preprocess, all.mutable_compute_input());
  WriteTally(statistics.compute, all.mutable_compute_infer());
  WriteTally(statistics.finish, all.mutable_compute_output());
  WriteTally(statistics.cache_hit, all.mutable_cache_hit());
  WriteTally(statistics.cache_miss, all.mutable_cache_miss());
  for (const auto& [size, tally] : statistics.batches) {
    inference::InferBatchStatistics& batch = *out.add_batch_stats();
    batch.set_batch_size(static_cast<uint64_t>(size));
    WriteTally(tally.gather, batch.mutable_compute_input());
    WriteTally(tally.compute, batch.mutable_compute_infer());
    WriteTally(tally.finish, batch.mutable_compute_output());
  }
}

absl::Status TellStatistics(const Context& context,
                            const inference::ModelStatisticsRequest& request,
                            inference::ModelStatisticsResponse& response) {
  ASSIGN_OR_RETURN(const ModelSpec spec, SpecFrom(request.name(), request.version()));
  ASSIGN_OR_RETURN(const auto models, context.models.GetAll(spec));
  for (const auto& model : models) WriteStatistics(*model, *response.add_model_stats());
  return absl::OkStatus();
}

absl::Status ListRepository(const Context& context,
                            const inference::RepositoryIndexRequest& request,
                            inference::RepositoryIndexResponse& response) {
  for (auto& entry : open_inference::RepositoryIndex(context.models, request.ready())) {
    auto& model = *response.add_models();
    model.set_name(std::move(entry.name));
    model.set_version(std::move(entry.version));
    model.set_state(std::move(entry.state));
    model.set_reason(std::move(entry.reason));
  }
  return absl::OkStatus();
}

class OpenInferenceService final : public Methods {
 public:
  OpenInferenceService(const Context& context, InferStreams& streams)
      : context_(context), streams_(streams) {}

  ServerUnaryReactor* ServerLive(CallbackServerContext* call, const ByteBuffer* request,
                                 ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ServerLive", Access::kPublic},
                     Live);
  }
  ServerUnaryReactor* ServerReady(CallbackServerContext* call, const ByteBuffer* request,
                                  ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ServerReady", Access::kPublic},
                     Ready);
  }
  ServerUnaryReactor* ModelReady(CallbackServerContext* call, const ByteBuffer* request,
                                 ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ModelReady"},
                     ModelIsReady);
  }
  ServerUnaryReactor* ServerMetadata(CallbackServerContext* call,
                                     const ByteBuffer* request,
                                     ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ServerMetadata"},
                     DescribeServer);
  }
  ServerUnaryReactor* ModelMetadata(CallbackServerContext* call,
                                    const ByteBuffer* request,
                                    ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ModelMetadata"},
                     DescribeModel);
  }
  ServerUnaryReactor* ModelConfig(CallbackServerContext* call, const ByteBuffer* request,
                                  ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ModelConfig"},
                     ConfigureModel);
  }
  ServerUnaryReactor* ModelStatistics(CallbackServerContext* call,
                                      const ByteBuffer* request,
                                      ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/ModelStatistics"},
                     TellStatistics);
  }
  ServerUnaryReactor* RepositoryIndex(CallbackServerContext* call,
                                      const ByteBuffer* request,
                                      ByteBuffer* response) override {
    return AnswerNow(context_,
                     {call, request, response, kProtocol,
                      "/inference.GRPCInferenceService/RepositoryIndex"},
                     ListRepository);
  }
  ServerUnaryReactor* RepositoryModelLoad(CallbackServerContext* call,
                                          const ByteBuffer* request,
                                          ByteBuffer* response) override {
    return Control<inference::RepositoryModelLoadRequest>(
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/RepositoryModelLoad", Access::kAdmin},
        &ModelRepository::Load);
  }
  ServerUnaryReactor* RepositoryModelUnload(CallbackServerContext* call,
                                            const ByteBuffer* request,
                                            ByteBuffer* response) override {
    return Control<inference::RepositoryModelUnloadRequest>(
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/RepositoryModelUnload", Access::kAdmin},
        &ModelRepository::Unload);
  }
  ServerUnaryReactor* ModelInfer(CallbackServerContext* call, const ByteBuffer* request,
                                 ByteBuffer* response) override {
    return StartInference(context_,
                          {call, request, response, kProtocol,
                           "/inference.GRPCInferenceService/ModelInfer"},
                          std::make_shared<InferCall>(context_));
  }
  ::grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ModelStreamInfer(
      CallbackServerContext* call) override {
    return streams_.Open(context_, call);
  }
  ServerUnaryReactor* SystemSharedMemoryStatus(CallbackServerContext* call,
                                               const ByteBuffer* request,
                                               ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/SystemSharedMemoryStatus"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* SystemSharedMemoryRegister(CallbackServerContext* call,
                                                 const ByteBuffer* request,
                                                 ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/SystemSharedMemoryRegister"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* SystemSharedMemoryUnregister(CallbackServerContext* call,
                                                   const ByteBuffer* request,
                                                   ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/SystemSharedMemoryUnregister"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* CudaSharedMemoryStatus(CallbackServerContext* call,
                                             const ByteBuffer* request,
                                             ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/CudaSharedMemoryStatus"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* CudaSharedMemoryRegister(CallbackServerContext* call,
                                               const ByteBuffer* request,
                                               ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/CudaSharedMemoryRegister"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* CudaSharedMemoryUnregister(CallbackServerContext* call,
                                                 const ByteBuffer* request,
                                                 ByteBuffer* response) override {
    return Refuse(
        context_,
        {call, request, response, kProtocol,
         "/inference.GRPCInferenceService/CudaSharedMemoryUnregister"},
        Unimplemented("there is no shared memory: send tensors in the request"));
  }
  ServerUnaryReactor* TraceSetting(CallbackServerContext* call, const ByteBuffer* request,
                                   ByteBuffer* response) override {
    return Refuse(context_,
                  {call, request, response, kProtocol,
                   "/inference.GRPCInferenceService/TraceSetting"},
                  Unimplemented("there is no tracing"));
  }
  ServerUnaryReactor* LogSettings(CallbackServerContext* call, const ByteBuffer* request,
                                  ByteBuffer* response) override {
    return Refuse(context_,
                  {call, request, response, kProtocol,
                   "/inference.GRPCInferenceService/LogSettings"},
                  Unimplemented("the log is set when the server starts: --log-level"));
  }

 private:
  static constexpr Protocol kProtocol = Protocol::kOpenInference;

  // Loading takes as long as it takes: the call waits, and no thread.
  template <typename Request>
  ServerUnaryReactor* Control(const UnaryCall& call,
                              void (ModelRepository::*control)(std::string,
                                                               ModelRepository::Done)) {
    Request request;
    const Admission admission = Admit(context_, *call.context, call.access);
    absl::Status status = admission.status;
    if (status.ok()) {
      status = open_inference::CheckControl(context_.models, admission.is_admin);
    }
    if (status.ok()) status = ParseMessage(*call.request, kMaxSmallMessageBytes, request);
    if (!status.ok()) return FinishNow(context_, call, status, inference::Opaque());
    ServerUnaryReactor* reactor = call.context->DefaultReactor();
    auto log = std::make_shared<CallLog>(context_, *call.context, call.method,
                                         call.protocol, call.request->Length());
    (context_.models.*control)(
        request.model_name(), [reactor, call, log](const absl::Status& done) {
          *call.response = SerializeMessage(inference::Opaque());
          const ::grpc::Status status = ToGrpc(done, call.protocol);
          log->Record(status, 0);
          reactor->Finish(status);
        });
    return reactor;
  }

  const Context& context_;
  InferStreams& streams_;
};

}  // namespace

std::unique_ptr<::grpc::Service> MakeOpenInferenceService(const Context& context,
                                                          InferStreams& streams) {
  return std::make_unique<OpenInferenceService>(context, streams);
}

}  // namespace oriel::serving::grpc
