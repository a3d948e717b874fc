#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>

#include "inference/grpc_service.grpc.pb.h"
#include "serving/grpc/server_test_fixture.h"

namespace oriel::serving::grpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class OpenInferenceServiceTest : public GrpcServerTest {
 protected:
  void Start() {
    StartServer();
    stub_ = inference::GRPCInferenceService::NewStub(channel_);
  }

  // As the client calls it: of one message and one answer.
  template <typename Request, typename Response>
  ::grpc::Status Call(::grpc::Status (inference::GRPCInferenceService::Stub::*method)(
                          ::grpc::ClientContext*, const Request&, Response*),
                      const Request& request, Response& response) {
    ::grpc::ClientContext context;
    return ((*stub_).*method)(&context, request, &response);
  }

  ::grpc::Status Infer(const inference::ModelInferRequest& request) {
    response_.Clear();
    return Call(&inference::GRPCInferenceService::Stub::ModelInfer, request, response_);
  }

  static inference::ModelInferRequest Images(std::initializer_list<int> shown) {
    inference::ModelInferRequest request;
    request.set_model_name("fake");
    auto& input = *request.add_inputs();
    input.set_name("image_bytes");
    input.set_datatype("BYTES");
    input.add_shape(static_cast<int64_t>(shown.size()));
    std::string& raw = *request.add_raw_input_contents();
    for (const int image : shown) raw += LengthPrefixed(FakeImage(image));
    return request;
  }

  std::vector<float> Probabilities() {
    std::vector<float> floats(response_.raw_output_contents(0).size() / sizeof(float));
    std::memcpy(floats.data(), response_.raw_output_contents(0).data(),
                floats.size() * sizeof(float));
    return floats;
  }

  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  inference::ModelInferResponse response_;
};

TEST_F(OpenInferenceServiceTest, Health) {
  Start();
  inference::ServerLiveResponse live;
  ASSERT_TRUE(Call(&inference::GRPCInferenceService::Stub::ServerLive, {}, live).ok());
  EXPECT_TRUE(live.live());
  inference::ServerReadyResponse ready;
  ASSERT_TRUE(Call(&inference::GRPCInferenceService::Stub::ServerReady, {}, ready).ok());
  EXPECT_TRUE(ready.ready());
  inference::ModelReadyRequest request;
  inference::ModelReadyResponse model;
  const auto ask = [&](const char* name, const char* version) {
    request.set_name(name);
    request.set_version(version);
    return Call(&inference::GRPCInferenceService::Stub::ModelReady, request, model);
  };
  ASSERT_TRUE(ask("fake", "").ok());
  EXPECT_TRUE(model.ready());
  ASSERT_TRUE(ask("fake", "7").ok());
  EXPECT_TRUE(model.ready());
  ASSERT_TRUE(ask("fake", "8").ok());
  EXPECT_FALSE(model.ready());
  ASSERT_TRUE(ask("nope", "").ok());
  EXPECT_FALSE(model.ready());
  EXPECT_GRPC_ERROR(ask("fake", "x"), INVALID_ARGUMENT, "version 'x' is no number");
}

TEST_F(OpenInferenceServiceTest, NotReadyBeforeModelsAre) {
  StartServer(false);
  stub_ = inference::GRPCInferenceService::NewStub(channel_);
  inference::ServerReadyResponse ready;
  ASSERT_TRUE(Call(&inference::GRPCInferenceService::Stub::ServerReady, {}, ready).ok());
  EXPECT_FALSE(ready.ready());
  EXPECT_FALSE(Infer(Images({1})).ok());
}

TEST_F(OpenInferenceServiceTest, Metadata) {
  Start();
  inference::ServerMetadataResponse server;
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::ServerMetadata, {}, server).ok());
  EXPECT_EQ(server.name(), "oriel");
  EXPECT_THAT(server.extensions(), testing::Contains("binary_tensor_data"));
  inference::ModelMetadataRequest request;
  request.set_name("fake");
  inference::ModelMetadataResponse model;
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::ModelMetadata, request, model).ok());
  EXPECT_EQ(model.name(), "fake");
  EXPECT_THAT(model.versions(), ElementsAre("7"));
  ASSERT_EQ(model.inputs_size(), 1);
  EXPECT_EQ(model.inputs(0).name(), "input");
  EXPECT_EQ(model.inputs(0).datatype(), "FP32");
  EXPECT_THAT(model.inputs(0).shape(), ElementsAre(-1, 2, 2, 3));
  ASSERT_EQ(model.outputs_size(), 1);
  EXPECT_THAT(model.outputs(0).shape(), ElementsAre(-1, 10));
  request.set_name("nope");
  EXPECT_GRPC_ERROR(
      Call(&inference::GRPCInferenceService::Stub::ModelMetadata, request, model),
      NOT_FOUND, "no model 'nope'");
}

// What perf_analyzer wants: of the configuration, the batch and the names; and these in
// the metadata, with the batch before them.
TEST_F(OpenInferenceServiceTest, Config) {
  Start();
  inference::ModelConfigRequest request;
  request.set_name("fake");
  inference::ModelConfigResponse response;
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::ModelConfig, request, response).ok());
  const inference::ModelConfig& config = response.config();
  EXPECT_EQ(config.name(), "fake");
  EXPECT_EQ(config.max_batch_size(), 4);
  ASSERT_EQ(config.input_size(), 1);
  EXPECT_EQ(config.input(0).name(), "input");
  EXPECT_EQ(config.input(0).data_type(), inference::TYPE_FP32);
  EXPECT_THAT(config.input(0).dims(), ElementsAre(2, 2, 3));
  ASSERT_EQ(config.output_size(), 1);
  EXPECT_EQ(config.output(0).name(), "probabilities");
  EXPECT_THAT(config.output(0).dims(), ElementsAre(10));
  EXPECT_THAT(config.dynamic_batching().preferred_batch_size(), ElementsAre(4));
  EXPECT_FALSE(config.model_transaction_policy().decoupled());
}

TEST_F(OpenInferenceServiceTest, InfersFromRawImages) {
  Start();
  inference::ModelInferRequest request = Images({3, 8});
  request.set_id("an id");
  const ::grpc::Status status = Infer(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.model_name(), "fake");
  EXPECT_EQ(response_.model_version(), "7");
  EXPECT_EQ(response_.id(), "an id");
  ASSERT_EQ(response_.outputs_size(), 1);
  EXPECT_EQ(response_.outputs(0).name(), "probabilities");
  EXPECT_EQ(response_.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response_.outputs(0).shape(), ElementsAre(2, 10));
  EXPECT_FALSE(response_.outputs(0).has_contents());
  const std::vector<float> probabilities = Probabilities();
  ASSERT_EQ(probabilities.size(), 20u);
  EXPECT_EQ(probabilities[3], 0.75f);
  EXPECT_EQ(probabilities[10 + 8], 0.75f);
}

TEST_F(OpenInferenceServiceTest, InfersFromTypedContents) {
  Start();
  inference::ModelInferRequest request = Images({3});
  request.clear_raw_input_contents();
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents(FakeImage(5));
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(Probabilities()[5], 0.75f);

  request.clear_inputs();
  auto& input = *request.add_inputs();
  input.set_name("input");
  input.set_datatype("FP32");
  for (const int64_t size : {1, 2, 2, 3}) input.add_shape(size);
  for (int i = 0; i < 12; ++i) input.mutable_contents()->add_fp32_contents(6);
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(Probabilities()[6], 0.75f);
}

TEST_F(OpenInferenceServiceTest, InfersFromRawFloats) {
  Start();
  inference::ModelInferRequest request = Images({});
  auto& input = *request.mutable_inputs(0);
  input.set_name("input");
  input.set_datatype("FP32");
  input.clear_shape();
  for (const int64_t size : {1, 2, 2, 3}) input.add_shape(size);
  const std::vector<float> pixels(12, 4.0f);
  request.mutable_raw_input_contents(0)->assign(
      reinterpret_cast<const char*>(pixels.data()), pixels.size() * sizeof(float));
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(Probabilities()[4], 0.75f);
}

TEST_F(OpenInferenceServiceTest, Classifies) {
  Start();
  inference::ModelInferRequest request = Images({3, 8});
  auto& output = *request.add_outputs();
  output.set_name("predictions");  // the network's own name
  (*output.mutable_parameters())["classification"].set_int64_param(2);
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(response_.outputs(0).name(), "predictions");
  EXPECT_EQ(response_.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response_.outputs(0).shape(), ElementsAre(2, 2));
  const std::string& raw = response_.raw_output_contents(0);
  EXPECT_TRUE(raw.starts_with(LengthPrefixed("0.750000:3:label 3 <b>&\"")));
  EXPECT_NE(raw.find(LengthPrefixed("0.750000:8:label 8 <b>&\"")), std::string::npos);
}

TEST_F(OpenInferenceServiceTest, TakesCompressedMessages) {
  Start();
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    ::grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    inference::ModelInferRequest request = Images({3});
    request.mutable_raw_input_contents(0)->assign(LengthPrefixed(FakeImage(3, 100'000)));
    const ::grpc::Status status = stub_->ModelInfer(&context, request, &response_);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Probabilities()[3], 0.75f);
  }
}

TEST_F(OpenInferenceServiceTest, RefusesWhatGrowsBeyondTheLimit) {
  options_.max_message_bytes = 1 << 20;
  Start();
  inference::ModelInferRequest request = Images({});
  request.mutable_raw_input_contents(0)->resize(50 << 20);
  {
    ::grpc::ClientContext context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    EXPECT_GRPC_ERROR(stub_->ModelInfer(&context, request, &response_), UNAVAILABLE,
                      "more than 1048576 bytes unpacked");
  }
  request.mutable_raw_input_contents(0)->resize(2 << 20);
  EXPECT_GRPC_ERROR(Infer(request), RESOURCE_EXHAUSTED, "larger than max");
  ASSERT_TRUE(Infer(Images({3})).ok());
}

TEST_F(OpenInferenceServiceTest, RefusesWhatItCannotRead) {
  Start();
  inference::ModelInferRequest request = Images({3});
  request.set_model_name("nope");
  EXPECT_GRPC_ERROR(Infer(request), NOT_FOUND, "no model 'nope'");
  request.set_model_name("fake");
  request.set_model_version("seven");
  EXPECT_GRPC_ERROR(Infer(request), INVALID_ARGUMENT, "version 'seven'");
  request = Images({3});
  request.mutable_raw_input_contents(0)->append("x");
  EXPECT_GRPC_ERROR(Infer(request), INVALID_ARGUMENT, "1 bytes are left");
  request = Images({3});
  *request.mutable_raw_input_contents(0) = LengthPrefixed("no image at all");
  EXPECT_GRPC_ERROR(Infer(request), INVALID_ARGUMENT, "image 0: not an image");
  request = Images({3});
  (*request.mutable_inputs(0)->mutable_parameters())["shared_memory_region"]
      .set_string_param("r");
  EXPECT_GRPC_ERROR(Infer(request), UNIMPLEMENTED, "shared memory");
  // A message whose bytes are no protobuf.
  ::grpc::GenericStub generic(channel_);
  const ::grpc::Slice slice("\xff\xff\xff\xff not a message");
  ::grpc::ByteBuffer bytes(&slice, 1), answer;
  ::grpc::ClientContext context;
  std::promise<::grpc::Status> done;
  generic.UnaryCall(&context, "/inference.GRPCInferenceService/ModelInfer", {}, &bytes,
                    &answer, [&](::grpc::Status status) { done.set_value(status); });
  EXPECT_GRPC_ERROR(done.get_future().get(), INVALID_ARGUMENT, "no protobuf");
}

TEST_F(OpenInferenceServiceTest, FullQueueIsUnavailable) {
  model_options_.max_pending = 2;
  Start();
  EXPECT_GRPC_ERROR(Infer(Images({1, 2, 3})), UNAVAILABLE, "busy");
}

TEST_F(OpenInferenceServiceTest, FullBudgetIsUnavailable) {
  options_.max_upload_bytes = 10;
  Start();
  EXPECT_GRPC_ERROR(Infer(Images({1})), UNAVAILABLE, "too many uploads");
}

TEST_F(OpenInferenceServiceTest, TimeoutOfTheRequest) {
  Start();
  session_->preprocess_gate().Close();
  inference::ModelInferRequest first = Images({1, 1});
  ::grpc::ClientContext context;
  inference::ModelInferResponse answer;
  std::promise<::grpc::Status> done;
  stub_->async()->ModelInfer(&context, &first, &answer,
                             [&](::grpc::Status status) { done.set_value(status); });
  session_->preprocess_gate().AwaitArrived(2);  // both threads of the pool
  inference::ModelInferRequest second = Images({2});
  (*second.mutable_parameters())["timeout"].set_int64_param(1000);
  ::grpc::ClientContext context2;
  std::promise<::grpc::Status> done2;
  inference::ModelInferResponse answer2;
  stub_->async()->ModelInfer(&context2, &second, &answer2,
                             [&](::grpc::Status status) { done2.set_value(status); });
  session_->preprocess_gate().Open();
  EXPECT_TRUE(done.get_future().get().ok());
  const ::grpc::Status status = done2.get_future().get();
  EXPECT_TRUE(status.ok() ||
              status.error_code() == ::grpc::StatusCode::DEADLINE_EXCEEDED);
  (*second.mutable_parameters())["timeout"].set_string_param("soon");
  EXPECT_GRPC_ERROR(Infer(second), INVALID_ARGUMENT, "'timeout'");
}

// Images run one at a time, the most urgent first; the names tell whose answer came when.
TEST_F(OpenInferenceServiceTest, Priorities) {
  Start();
  session_->run_gate().Close();
  const int before = session_->run_gate().arrived();
  constexpr int kCalls = 10;
  std::vector<::grpc::ClientContext> contexts(kCalls);
  std::vector<inference::ModelInferRequest> requests(kCalls);
  std::vector<inference::ModelInferResponse> responses(kCalls);
  std::vector<std::promise<void>> ends(kCalls);
  Mutex mutex;
  std::vector<int> order;
  for (int i = 0; i < kCalls; ++i) {
    requests[i] = Images({1});
    // The first is in work when the others come; the rest fill two batches and more.
    (*requests[i].mutable_parameters())["priority"].set_uint64_param(i == kCalls - 1 ? 1
                                                                                     : 9);
    stub_->async()->ModelInfer(&contexts[i], &requests[i], &responses[i],
                               [&, i](::grpc::Status status) {
                                 EXPECT_TRUE(status.ok()) << status.error_message();
                                 {
                                   MutexLock lock(mutex);
                                   order.push_back(i);
                                 }
                                 ends[i].set_value();
                               });
    if (i == 0) session_->run_gate().AwaitArrived(before + 1);
    while (pending() != static_cast<size_t>(i + 1)) std::this_thread::yield();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until all are prepared
  session_->run_gate().Open();
  for (auto& end : ends) end.get_future().wait();
  // Among the first batch after the one in work: four images.
  const auto place = std::find(order.begin(), order.end(), kCalls - 1) - order.begin();
  EXPECT_LT(place, 1 + 4);
}

TEST_F(OpenInferenceServiceTest, PriorityOfTheMetadata) {
  Start();
  for (const auto& [text, good] :
       {std::pair("1", true), {"10", true}, {"11", false}, {"x", false}}) {
    ::grpc::ClientContext context;
    context.AddMetadata("x-request-priority", text);
    const ::grpc::Status status = stub_->ModelInfer(&context, Images({1}), &response_);
    EXPECT_EQ(status.ok(), good) << status.error_message();
  }
}

// That a call was cancelled, or that its time is up, a server knows later than the
// client.
constexpr auto kServerLearns = std::chrono::milliseconds(500);

TEST_F(OpenInferenceServiceTest, CancelledCallsCostNoRun) {
  Start();
  session_->preprocess_gate().Close();
  const inference::ModelInferRequest request = Images({1});
  ::grpc::ClientContext context;
  std::promise<::grpc::Status> done;
  stub_->async()->ModelInfer(&context, &request, &response_,
                             [&](::grpc::Status status) { done.set_value(status); });
  session_->preprocess_gate().AwaitArrived(1);
  context.TryCancel();
  EXPECT_EQ(done.get_future().get().error_code(), ::grpc::StatusCode::CANCELLED);
  std::this_thread::sleep_for(kServerLearns);
  session_->preprocess_gate().Open();
  while (pending() > 0) std::this_thread::yield();
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(OpenInferenceServiceTest, DeadlineOfTheCall) {
  Start();
  session_->preprocess_gate().Close();
  ::grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(stub_->ModelInfer(&context, Images({1}), &response_).error_code(),
            ::grpc::StatusCode::DEADLINE_EXCEEDED);
  std::this_thread::sleep_for(kServerLearns);
  session_->preprocess_gate().Open();
  while (pending() > 0) std::this_thread::yield();
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(OpenInferenceServiceTest, Repository) {
  Start();
  inference::RepositoryIndexResponse index;
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::RepositoryIndex, {}, index).ok());
  ASSERT_EQ(index.models_size(), 1);
  EXPECT_EQ(index.models(0).name(), "fake");
  EXPECT_EQ(index.models(0).version(), "7");
  EXPECT_EQ(index.models(0).state(), "READY");
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name("fake");
  inference::RepositoryModelUnloadResponse response;
  EXPECT_GRPC_ERROR(Call(&inference::GRPCInferenceService::Stub::RepositoryModelUnload,
                         request, response),
                    PERMISSION_DENIED, "--load-on-demand");
}

TEST_F(OpenInferenceServiceTest, LoadsOnDemand) {
  repository_options_.load_on_demand = true;
  Start();
  EXPECT_GRPC_ERROR(Infer(Images({3})), UNAVAILABLE, "fake");
  inference::RepositoryModelLoadRequest load;
  load.set_model_name("fake");
  inference::RepositoryModelLoadResponse loaded;
  const ::grpc::Status status =
      Call(&inference::GRPCInferenceService::Stub::RepositoryModelLoad, load, loaded);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(Infer(Images({3})).ok());
  inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("fake");
  inference::RepositoryModelUnloadResponse unloaded;
  ASSERT_TRUE(Call(&inference::GRPCInferenceService::Stub::RepositoryModelUnload, unload,
                   unloaded)
                  .ok());
  EXPECT_GRPC_ERROR(Infer(Images({3})), UNAVAILABLE, "fake");
  inference::RepositoryIndexResponse index;
  inference::RepositoryIndexRequest ready;
  ready.set_ready(true);
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::RepositoryIndex, ready, index).ok());
  EXPECT_THAT(index.models(), IsEmpty());
  load.set_model_name("nope");
  EXPECT_GRPC_ERROR(
      Call(&inference::GRPCInferenceService::Stub::RepositoryModelLoad, load, loaded),
      NOT_FOUND, "nope");
}

TEST_F(OpenInferenceServiceTest, Statistics) {
  Start();
  ASSERT_TRUE(Infer(Images({1, 2})).ok());
  ASSERT_FALSE(Infer(Images({})).ok());
  inference::ModelStatisticsRequest request;
  request.set_name("fake");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::ModelStatistics, request, response)
          .ok());
  ASSERT_EQ(response.model_stats_size(), 1);
  const inference::ModelStatistics& statistics = response.model_stats(0);
  EXPECT_EQ(statistics.name(), "fake");
  EXPECT_EQ(statistics.version(), "7");
  EXPECT_EQ(statistics.inference_count(), 2u);
  EXPECT_EQ(statistics.inference_stats().success().count(), 1u);
  EXPECT_GT(statistics.inference_stats().success().ns(), 0u);
  EXPECT_TRUE(statistics.inference_stats().has_cache_hit());
  EXPECT_GT(statistics.last_inference(), 1'700'000'000'000u);
  // All models.
  request.Clear();
  ASSERT_TRUE(
      Call(&inference::GRPCInferenceService::Stub::ModelStatistics, request, response)
          .ok());
  EXPECT_EQ(response.model_stats_size(), 1);
}

TEST_F(OpenInferenceServiceTest, SaysWhatThereIsNot) {
  Start();
  inference::Opaque answer;
  EXPECT_GRPC_ERROR(
      Call(&inference::GRPCInferenceService::Stub::SystemSharedMemoryStatus, {}, answer),
      UNIMPLEMENTED, "shared memory");
  EXPECT_GRPC_ERROR(
      Call(&inference::GRPCInferenceService::Stub::TraceSetting, {}, answer),
      UNIMPLEMENTED, "tracing");
  EXPECT_GRPC_ERROR(Call(&inference::GRPCInferenceService::Stub::LogSettings, {}, answer),
                    UNIMPLEMENTED, "--log-level");
}

}  // namespace
}  // namespace oriel::serving::grpc
