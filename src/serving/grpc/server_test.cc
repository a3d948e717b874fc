#include "serving/grpc/server.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <thread>

#include "inference/grpc_service.grpc.pb.h"
#include "serving/grpc/server_test_fixture.h"

namespace oriel::serving::grpc {
namespace {

using std::chrono::milliseconds;

class ServerTest : public GrpcServerTest {
 protected:
  // An inference that is under way when this returns; the gate is closed.
  void BeginInference() {
    session_->run_gate().Close();
    request_.set_model_name("fake");
    auto& input = *request_.add_inputs();
    input.set_name("image_bytes");
    input.set_datatype("BYTES");
    input.add_shape(1);
    request_.add_raw_input_contents(LengthPrefixed(FakeImage(3)));
    stub_ = inference::GRPCInferenceService::NewStub(channel_);
    const int before = session_->run_gate().arrived();
    stub_->async()->ModelInfer(
        &context_, &request_, &response_,
        [this](::grpc::Status status) { done_.set_value(status); });
    session_->run_gate().AwaitArrived(before + 1);
  }

  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  ::grpc::ClientContext context_;
  inference::ModelInferRequest request_;
  inference::ModelInferResponse response_;
  std::promise<::grpc::Status> done_;
};

TEST_F(ServerTest, TakenPortIsAnErrorThatNamesIt) {
  StartServer();
  ServerOptions options;
  options.port = server_->port();
  const auto second =
      Server::Start(*repository_, pool_, Clock::Real(), *metrics_, draining_, options);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(Message(second.status())),
              testing::HasSubstr(
                  fmt::format("127.0.0.1:{}: Address already in use", server_->port())));
}

TEST_F(ServerTest, DrainingAnswersWhatWasAccepted) {
  StartServer();
  BeginInference();
  draining_ = true;
  for (int i = 0; i < 3; ++i) {
    ::grpc::ClientContext context;
    inference::ModelInferResponse response;
    EXPECT_GRPC_ERROR(stub_->ModelInfer(&context, request_, &response), UNAVAILABLE,
                      "shutting down");
    std::this_thread::sleep_for(milliseconds(100));
  }
  session_->run_gate().Open();
  const ::grpc::Status status = done_.get_future().get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  server_->Wait();
}

TEST_F(ServerTest, GraceEnds) {
  options_.drain_grace = milliseconds(100);
  StartServer();
  BeginInference();
  draining_ = true;
  EXPECT_FALSE(done_.get_future().get().ok());
  session_->run_gate().Open();
  server_->Wait();
}

TEST_F(ServerTest, CallsAreCounted) {
  StartServer();
  BeginInference();
  session_->run_gate().Open();
  ASSERT_TRUE(done_.get_future().get().ok());
  const std::string text = metrics_->Text();
  EXPECT_THAT(text, testing::HasSubstr("open_inference_grpc"));
  EXPECT_THAT(text, testing::HasSubstr("/inference.GRPCInferenceService/ModelInfer"));
  EXPECT_EQ(context_.GetServerTrailingMetadata().count("x-request-id"), 1u);
}

TEST_F(ServerTest, AdministrationElsewhere) {
  options_.administration = false;
  repository_options_.load_on_demand = true;
  StartServer();
  stub_ = inference::GRPCInferenceService::NewStub(channel_);
  inference::RepositoryModelLoadRequest load;
  load.set_model_name("fake");
  inference::RepositoryModelLoadResponse loaded;
  EXPECT_GRPC_ERROR(stub_->RepositoryModelLoad(&context_, load, &loaded), UNIMPLEMENTED,
                    "address of its own");
}

TEST_F(ServerTest, EndsWithoutDraining) {
  StartServer();
  server_.reset();
}

}  // namespace
}  // namespace oriel::serving::grpc
