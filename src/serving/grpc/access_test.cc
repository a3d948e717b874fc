#include <grpcpp/grpcpp.h>

#include "inference/grpc_service.grpc.pb.h"
#include "serving/api_keys.h"
#include "serving/gatekeeper.h"
#include "serving/grpc/admission.h"
#include "serving/grpc/server_test_fixture.h"
#include "tensorflow_serving/prediction_service.grpc.pb.h"

namespace oriel::serving::grpc {
namespace {

class GrpcAccessTest : public GrpcServerTest {
 protected:
  void StartWith(std::optional<RateLimit> rate = std::nullopt) {
    std::string keys;
    for (const auto& [access, name] :
         {std::pair(Access::kUse, "use"), std::pair(Access::kAdmin, "admin")}) {
      keys += ApiKeyLine(access, name, std::string("key of ") + name) + "\n";
    }
    const auto file = folder_.path() / "keys.txt";
    ASSERT_OK(WriteFileAtomically(file, keys));
    GatekeeperOptions options = {.rate_limit = rate};
    if (!rate.has_value()) options.api_keys = file;
    ASSERT_OK_AND_ASSIGN(gatekeeper_, Gatekeeper::Create(options, Clock::Real()));
    options_.gatekeeper = gatekeeper_.get();
    StartServer();
    stub_ = inference::GRPCInferenceService::NewStub(channel_);
  }

  ::grpc::Status Index(const char* name = "", const std::string& value = "") {
    ::grpc::ClientContext context;
    if (*name != '\0') context.AddMetadata(name, value);
    inference::RepositoryIndexResponse response;
    return stub_->RepositoryIndex(&context, {}, &response);
  }

  ::grpc::Status Unload(const std::string& key) {
    ::grpc::ClientContext context;
    if (!key.empty()) context.AddMetadata("x-api-key", key);
    inference::RepositoryModelUnloadRequest request;
    request.set_model_name("fake");
    inference::RepositoryModelUnloadResponse response;
    return stub_->RepositoryModelUnload(&context, request, &response);
  }

  std::unique_ptr<Gatekeeper> gatekeeper_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

TEST_F(GrpcAccessTest, CallsNeedKeys) {
  StartWith();
  EXPECT_GRPC_ERROR(Index(), UNAUTHENTICATED, "");
  EXPECT_GRPC_ERROR(Index("x-api-key", "wrong"), UNAUTHENTICATED, "");
  EXPECT_GRPC_ERROR(Index("authorization", "Basic key of use"), UNAUTHENTICATED, "");
  EXPECT_TRUE(Index("x-api-key", "key of use").ok());
  EXPECT_TRUE(Index("authorization", "Bearer key of use").ok());
  EXPECT_TRUE(Index("authorization", "bearer  key of admin").ok());
}

TEST_F(GrpcAccessTest, OfAllKinds) {
  StartWith();
  ::grpc::ClientContext context, context2, context3;
  inference::ModelInferResponse infer;
  EXPECT_GRPC_ERROR(stub_->ModelInfer(&context, {}, &infer), UNAUTHENTICATED, "");
  inference::Opaque opaque;
  EXPECT_GRPC_ERROR(stub_->LogSettings(&context2, {}, &opaque), UNAUTHENTICATED, "");
  tensorflow::serving::PredictResponse predict;
  EXPECT_GRPC_ERROR(tensorflow::serving::PredictionService::NewStub(channel_)->Predict(
                        &context3, {}, &predict),
                    UNAUTHENTICATED, "");
  // Each message of a stream.
  ::grpc::ClientContext stream_context;
  const auto stream = stub_->ModelStreamInfer(&stream_context);
  stream->Write({});
  inference::ModelStreamInferResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_NE(answer.error_message(), "");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcAccessTest, ProbesNeedNone) {
  StartWith();
  ::grpc::ClientContext context, context2;
  inference::ServerLiveResponse live;
  EXPECT_TRUE(stub_->ServerLive(&context, {}, &live).ok());
  inference::ServerReadyResponse ready;
  EXPECT_TRUE(stub_->ServerReady(&context2, {}, &ready).ok());
}

TEST_F(GrpcAccessTest, AdministrationNeedsItsOwn) {
  StartWith();
  EXPECT_GRPC_ERROR(Unload(""), UNAUTHENTICATED, "");
  EXPECT_GRPC_ERROR(Unload("key of use"), PERMISSION_DENIED, "");
  const ::grpc::Status status = Unload("key of admin");
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcAccessTest, Rates) {
  StartWith(RateLimit{.per_second = 0.001, .burst = 2});
  EXPECT_TRUE(Index().ok());
  EXPECT_TRUE(Index().ok());
  EXPECT_GRPC_ERROR(Index(), UNAVAILABLE, "");
}

TEST(PeerAddressTest, IsTheAddressAlone) {
  EXPECT_EQ(PeerAddress("ipv4:127.0.0.1:1234"), "127.0.0.1");
  EXPECT_EQ(PeerAddress("ipv6:%5B::1%5D:1234"), "::1");
  EXPECT_EQ(PeerAddress("ipv6:%5B2001:db8::7%5D:80"), "2001:db8::7");
  EXPECT_EQ(PeerAddress("unix:/a/socket"), "unix:/a/socket");
}

}  // namespace
}  // namespace oriel::serving::grpc
