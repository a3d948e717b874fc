// A server on a free port of loopback, over a FakeSession.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <boost/json/parse.hpp>
#include <memory>
#include <string>

#include "base/files.h"
#include "base/testing.h"
#include "serving/http/app.h"
#include "serving/http/server.h"
#include "serving/http/test_client.h"
#include "serving/testing.h"

namespace oriel::serving::http {

class ServerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { spdlog::set_level(spdlog::level::off); }

  ServerTest() {
    options_.port = 0;
    options_.linger = std::chrono::milliseconds(500);
  }
  ~ServerTest() override { StopServer(); }

  // With the members below as they are now.
  void StartServer(bool with_model = true) {
    ASSERT_OK_AND_ASSIGN(Web web, Web::Create(std::nullopt));
    web_ = std::make_unique<Web>(std::move(web));
    std::filesystem::create_directories(folder_.path() / "fake" / "7");
    ASSERT_OK(WriteFileAtomically(folder_.path() / "fake" / "7" / "oriel.json", "{}"));
    repository_options_.root = folder_.path();
    repository_ = std::make_unique<ModelRepository>(
        repository_options_,
        [this](const model::ModelDirectory&) {
          return ServedModel::Create(session_, model_options_, pool_, Clock::Real());
        },
        Clock::Real());
    app_ = std::make_unique<App>(*repository_, pool_, *web_, Clock::Real(), app_options_);
    if (with_model) LoadModel();
    ASSERT_OK_AND_ASSIGN(server_, Server::Start(*app_, options_));
  }

  void LoadModel() {
    repository_->Start();
    repository_->AwaitStarted();
    warm_up_runs_ = session_->runs();
  }

  void StopServer() {
    session_->preprocess_gate().Open();
    session_->run_gate().Open();
    if (server_ != nullptr) {
      server_->Drain();
      server_->Wait();
    }
    if (repository_ != nullptr) repository_->Stop(kNever);
    pool_.Stop();
    if (app_ != nullptr) app_->operations.Stop();
    server_.reset();
  }

  // Images that the model has accepted and not answered.
  size_t pending() {
    const auto model = repository_->Get({});
    return model.ok() ? (*model)->pending() : 0;
  }

  uint16_t port() const { return server_->port(); }

  static std::string Get(std::string_view target, std::string_view headers = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: test\r\n{}\r\n", target, headers);
  }
  static std::string Post(std::string_view target, std::string_view body,
                          std::string_view headers = "") {
    return fmt::format("POST {} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n{}\r\n{}",
                       target, body.size(), headers, body);
  }
  static constexpr char kFormHeader[] =
      "Content-Type: multipart/form-data; boundary=xx\r\n";
  static std::string FormFile(std::string_view field, std::string_view filename,
                              std::string_view bytes) {
    return fmt::format(
        "--xx\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\n"
        "Content-Type: image/png\r\n\r\n{}\r\n",
        field, filename, bytes);
  }
  static std::string PostForm(std::string_view target, std::string form,
                              std::string_view headers = "") {
    form += "--xx--\r\n";
    return Post(target, form, std::string(kFormHeader) + std::string(headers));
  }

  // On a connection of its own.
  TestResponse Ask(std::string_view bytes) {
    TestClient client(port());
    return client.Ask(bytes);
  }

  // The answer is an error: `status`, JSON with a reason and a request id.
  static void ExpectJsonError(const TestResponse& response, int status) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.Header("content-type"), "application/json");
    boost::json::error_code ec;
    const auto body = boost::json::parse(response.body, ec);
    ASSERT_FALSE(ec) << response.body;
    EXPECT_FALSE(body.at("error").as_string().empty());
    EXPECT_EQ(body.at("status").as_int64(), status);
    const auto& id = body.at("request_id").as_string();
    EXPECT_EQ(std::string(id.begin(), id.end()), response.Header("x-request-id"));
  }

  ServerOptions options_;
  AppOptions app_options_;
  ServedModelOptions model_options_;
  ModelRepositoryOptions repository_options_;
  std::shared_ptr<FakeSession> session_ = std::make_shared<FakeSession>();
  TemporaryDirectory folder_;
  std::unique_ptr<ModelRepository> repository_;
  WorkerPool pool_{2, 1000};
  std::unique_ptr<Web> web_;
  std::unique_ptr<App> app_;
  std::unique_ptr<Server> server_;
  int warm_up_runs_ = 0;
};

}  // namespace oriel::serving::http
