// A server on a free port of loopback, over a FakeSession, and a channel to it.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/files.h"
#include "base/testing.h"
#include "serving/grpc/server.h"
#include "serving/testing.h"

namespace oriel::serving::grpc {

class GrpcServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }

  GrpcServerTest() { options_.port = 0; }
  ~GrpcServerTest() override { StopServer(); }

  // With the members below as they are now.
  void StartServer(bool with_model = true) {
    std::filesystem::create_directories(folder_.path() / "fake" / "7");
    ASSERT_OK(WriteFileAtomically(folder_.path() / "fake" / "7" / "oriel.json", "{}"));
    repository_options_.root = folder_.path();
    repository_ = std::make_unique<ModelRepository>(
        repository_options_,
        [this](const model::ModelDirectory&) {
          return ServedModel::Create(session_, model_options_, pool_, Clock::Real());
        },
        Clock::Real());
    metrics_ = std::make_unique<Metrics>(*repository_);
    if (with_model) LoadModel();
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(*repository_, pool_, Clock::Real(),
                                                *metrics_, draining_, options_));
    ::grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    // A connection of its own for each test.
    arguments.SetInt("oriel.test", counter_++);
    channel_ = ::grpc::CreateCustomChannel(
        server_->address(), ::grpc::InsecureChannelCredentials(), arguments);
  }

  void LoadModel() {
    repository_->Start();
    repository_->AwaitStarted();
    warm_up_runs_ = session_->runs();
  }

  void StopServer() {
    session_->preprocess_gate().Open();
    session_->run_gate().Open();
    draining_ = true;
    if (server_ != nullptr) server_->Wait();
    if (repository_ != nullptr) repository_->Stop(kNever);
    pool_.Stop();
    server_.reset();
  }

  // Images that the model has accepted and not answered.
  size_t pending() {
    const auto model = repository_->Get({});
    return model.ok() ? (*model)->pending() : 0;
  }

  ServerOptions options_;
  ServedModelOptions model_options_;
  ModelRepositoryOptions repository_options_;
  std::shared_ptr<FakeSession> session_ = std::make_shared<FakeSession>();
  TemporaryDirectory folder_;
  std::unique_ptr<ModelRepository> repository_;
  std::unique_ptr<Metrics> metrics_;
  WorkerPool pool_{2, 1000};
  std::atomic<bool> draining_{false};
  std::unique_ptr<Server> server_;
  std::shared_ptr<::grpc::Channel> channel_;
  int warm_up_runs_ = 0;
  static inline int counter_ = 0;
};

inline std::string LengthPrefixed(const std::string& element) {
  const uint32_t size = static_cast<uint32_t>(element.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + element;
}

// `status` has the code, and `text` in its message.
#define EXPECT_GRPC_ERROR(status, code, text)                       \
  do {                                                              \
    const ::grpc::Status status_ = (status);                        \
    EXPECT_EQ(status_.error_code(), ::grpc::StatusCode::code)       \
        << status_.error_message();                                 \
    EXPECT_THAT(status_.error_message(), testing::HasSubstr(text)); \
  } while (false)

}  // namespace oriel::serving::grpc
