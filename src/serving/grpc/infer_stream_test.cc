#include <grpcpp/grpcpp.h>

#include <thread>

#include "inference/grpc_service.grpc.pb.h"
#include "serving/grpc/server_test_fixture.h"

namespace oriel::serving::grpc {
namespace {

class InferStreamTest : public GrpcServerTest {
 protected:
  void Open() {
    StartServer();
    stub_ = inference::GRPCInferenceService::NewStub(channel_);
    stream_ = stub_->ModelStreamInfer(&context_);
  }

  static inference::ModelInferRequest Request(const std::string& id, int shown) {
    inference::ModelInferRequest request;
    request.set_model_name("fake");
    request.set_id(id);
    auto& input = *request.add_inputs();
    input.set_name("image_bytes");
    input.set_datatype("BYTES");
    input.add_shape(1);
    request.add_raw_input_contents(LengthPrefixed(FakeImage(shown)));
    return request;
  }

  inference::ModelStreamInferResponse Read() {
    inference::ModelStreamInferResponse response;
    EXPECT_TRUE(stream_->Read(&response));
    return response;
  }

  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  ::grpc::ClientContext context_;
  std::unique_ptr<::grpc::ClientReaderWriter<inference::ModelInferRequest,
                                             inference::ModelStreamInferResponse>>
      stream_;
};

TEST_F(InferStreamTest, EachRequestHasAnAnswer) {
  options_.max_stream_requests = 4;  // fewer than are sent
  Open();
  std::thread writer([this] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(stream_->Write(Request(std::to_string(i), i % 10)));
    }
    stream_->WritesDone();
  });
  std::set<std::string> ids;
  inference::ModelStreamInferResponse response;
  while (stream_->Read(&response)) {
    EXPECT_EQ(response.error_message(), "");
    ids.insert(response.infer_response().id());
    const int shown = std::stoi(response.infer_response().id()) % 10;
    const std::string& raw = response.infer_response().raw_output_contents(0);
    float probability = 0;
    std::memcpy(&probability, raw.data() + shown * sizeof(float), sizeof(float));
    EXPECT_EQ(probability, 0.75f);
  }
  writer.join();
  EXPECT_TRUE(stream_->Finish().ok());
  EXPECT_EQ(ids.size(), 100u);
}

TEST_F(InferStreamTest, ErrorsAreAnswersAndTheStreamGoesOn) {
  Open();
  inference::ModelInferRequest wrong = Request("wrong", 1);
  wrong.set_model_name("nobody");
  stream_->Write(wrong);
  const inference::ModelStreamInferResponse answer = Read();
  EXPECT_THAT(answer.error_message(), testing::HasSubstr("no model 'nobody'"));
  EXPECT_EQ(answer.infer_response().id(), "wrong");
  stream_->Write(Request("right", 1));
  EXPECT_EQ(Read().infer_response().id(), "right");
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

// An answer may overtake one whose image takes longer.
TEST_F(InferStreamTest, SeveralAreInWork) {
  Open();
  session_->preprocess_gate().Close();
  stream_->Write(Request("a", 1));
  stream_->Write(Request("b", 2));
  session_->preprocess_gate().AwaitArrived(2);
  session_->preprocess_gate().Open();
  const std::set<std::string> ids = {Read().infer_response().id(),
                                     Read().infer_response().id()};
  EXPECT_EQ(ids, (std::set<std::string>{"a", "b"}));
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(InferStreamTest, DrainingAnswersWhatWasAccepted) {
  Open();
  session_->run_gate().Close();
  const int before = session_->run_gate().arrived();
  stream_->Write(Request("a", 1));
  session_->run_gate().AwaitArrived(before + 1);
  draining_ = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  session_->run_gate().Open();
  EXPECT_EQ(Read().infer_response().id(), "a");
  EXPECT_GRPC_ERROR(stream_->Finish(), UNAVAILABLE, "shutting down");
  server_->Wait();
}

TEST_F(InferStreamTest, DrainingEndsIdleStreams) {
  Open();
  stream_->Write(Request("a", 1));
  Read();
  draining_ = true;
  EXPECT_GRPC_ERROR(stream_->Finish(), UNAVAILABLE, "shutting down");
  server_->Wait();
}

TEST_F(InferStreamTest, CancelledStreamsEnd) {
  options_.max_stream_requests = 2;
  Open();
  session_->preprocess_gate().Close();
  for (int i = 0; i < 5; ++i) stream_->Write(Request(std::to_string(i), 1));
  session_->preprocess_gate().AwaitArrived(2);
  context_.TryCancel();
  EXPECT_EQ(stream_->Finish().error_code(), ::grpc::StatusCode::CANCELLED);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  session_->preprocess_gate().Open();
  while (pending() > 0) std::this_thread::yield();
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(InferStreamTest, EndsAtOnceWithoutRequests) {
  Open();
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

}  // namespace
}  // namespace oriel::serving::grpc
