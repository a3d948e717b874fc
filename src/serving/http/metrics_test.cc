#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;
using testing::Not;

class MetricsEndpointTest : public ServerTest {
 protected:
  std::string Scrape() {
    const TestResponse response = Ask(Get("/metrics"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.Header("content-type"),
              "text/plain; version=0.0.4; charset=utf-8");
    return response.body;
  }
  // The value of a series that is there.
  static double Value(const std::string& text, const std::string& series) {
    const size_t at = text.find("\n" + series + " ");
    EXPECT_NE(at, std::string::npos) << series;
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(at + series.size() + 2));
  }
  static int64_t Series(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  }
};

constexpr char kModel[] = R"(model="fake",version="7")";

TEST_F(MetricsEndpointTest, CountsWhatHappened) {
  StartServer();
  ASSERT_EQ(Ask(Post("/api/classify", FakeImage(4))).status, 200);
  ASSERT_EQ(Ask(Post("/api/classify", "no image")).status, 415);
  ASSERT_EQ(Ask(Post("/v1/models/fake:predict",
                     R"({"instances":[{"b64":"iVBORw0KGgox"},{"b64":"iVBORw0KGgoy"}]})"))
                .status,
            200);
  // What ends after its answer is out.
  while (server_->connections() > 0 || pending() > 0) std::this_thread::yield();
  const std::string text = Scrape();
  const auto value = [&](const std::string& name, const std::string& labels) {
    return Value(text, fmt::format("{}{{{}}}", name, labels));
  };
  const std::string model = kModel;
  EXPECT_EQ(value("oriel_requests_total",
                  R"(protocol="api",route="/api/classify",status="200")"),
            1);
  EXPECT_EQ(value("oriel_requests_total",
                  R"(protocol="api",route="/api/classify",status="415")"),
            1);
  EXPECT_EQ(value("oriel_requests_total",
                  "protocol=\"tensorflow_serving_rest\",route=\""
                  "/v1/models/{model}:predict\",status=\"200\""),
            1);
  EXPECT_EQ(value("oriel_request_bytes_total", R"(protocol="api")"),
            FakeImage(4).size() + 8);
  EXPECT_EQ(value("oriel_model_requests_total", model + R"(,result="ok")"), 2);
  EXPECT_EQ(value("oriel_model_requests_total", model + R"(,result="bad_image")"), 1);
  EXPECT_EQ(value("oriel_model_images_total", model + R"(,result="ok")"), 3);
  EXPECT_EQ(value("oriel_model_compute_seconds_count", model), 3);
  EXPECT_EQ(value("oriel_model_preprocess_seconds_count", model), 3);
  EXPECT_EQ(value("oriel_model_batch_size_sum", model), 3);
  EXPECT_EQ(value("oriel_model_pending_images", model), 0);
  EXPECT_EQ(value("oriel_model_state", model + R"(,state="AVAILABLE")"), 1);
  EXPECT_EQ(value("oriel_model_state", model + R"(,state="LOADING")"), 0);
  EXPECT_EQ(value("oriel_model_info", model + R"(,title="Fake <Net>",precision="f32")"),
            1);
  EXPECT_EQ(Value(text, "oriel_open_connections"), 1);
  EXPECT_EQ(Value(text, "oriel_requests_in_flight"), 1);  // this one
  EXPECT_EQ(Value(text, "oriel_upload_bytes"), 0);
  // Triton's names.
  EXPECT_EQ(value("nv_inference_request_success", model), 2);
  EXPECT_EQ(value("nv_inference_request_failure", model + R"(,reason="BACKEND")"), 1);
  EXPECT_EQ(value("nv_inference_request_failure", model + R"(,reason="REJECTED")"), 0);
  EXPECT_EQ(value("nv_inference_count", model), 3);
  EXPECT_EQ(value("nv_inference_exec_count", model), session_->runs() - warm_up_runs_);
  EXPECT_EQ(value("nv_inference_pending_request_count", model), 0);
  EXPECT_GE(value("nv_inference_request_duration_us", model),
            value("nv_inference_compute_infer_duration_us", model));
}

TEST_F(MetricsEndpointTest, ClientsMakeNoSeries) {
  StartServer();
  ASSERT_EQ(Ask(Get("/nowhere")).status, 404);
  ASSERT_EQ(Ask(Get("/v2/models/a")).status, 404);
  ASSERT_EQ(Ask("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
  ASSERT_EQ(Ask("nonsense\r\n\r\n").status, 400);
  Scrape();
  const int64_t before = Series(Scrape());
  for (int i = 0; i < 40; ++i) {
    Ask(Get(fmt::format("/nowhere/{}?{}={}", i, i, i),
            fmt::format("X-{}: {}\r\n", i, i)));
    Ask(Get(fmt::format("/v2/models/a{}", i)));
    Ask(fmt::format("BREW{} /pot{} HTTP/1.1\r\nHost: x{}\r\n\r\n", i, i, i));
    Ask(fmt::format("nonsense{}\r\n\r\n", i));
  }
  const std::string text = Scrape();
  EXPECT_EQ(Series(text), before);
  EXPECT_EQ(
      Value(text,
            R"(oriel_requests_total{protocol="http",route="unknown",status="404"})"),
      82);
  EXPECT_EQ(
      Value(text,
            R"(oriel_requests_total{protocol="http",route="malformed",status="400"})"),
      41);
}

TEST_F(MetricsEndpointTest, SeriesOfAVersionEndWithIt) {
  StartServer();
  EXPECT_THAT(Scrape(), HasSubstr("nv_inference_count{" + std::string(kModel)));
  std::filesystem::remove_all(folder_.path() / "fake");
  std::promise<void> done;
  repository_->Rescan([&](absl::Status) { done.set_value(); });
  done.get_future().get();
  EXPECT_THAT(Scrape(), Not(HasSubstr("model=\"fake\"")));
}

TEST_F(MetricsEndpointTest, ABusyServerIsScraped) {
  StartServer();
  session_->preprocess_gate().Close();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 5; ++i) {  // more than the pool has threads
    clients.push_back(std::make_unique<TestClient>(port()));
    clients.back()->Send(Post("/api/classify", FakeImage(1)));
  }
  while (pending() < 5) std::this_thread::yield();
  const std::string text = Scrape();
  EXPECT_EQ(Value(text, "oriel_model_pending_images{" + std::string(kModel) + "}"), 5);
  EXPECT_EQ(Value(text, "oriel_requests_in_flight"), 6);
  EXPECT_EQ(Value(text, "oriel_open_connections"), 6);
  EXPECT_EQ(Value(text, "oriel_upload_bytes"), 5 * FakeImage(1).size());
  session_->preprocess_gate().Open();
  for (auto& client : clients) EXPECT_EQ(client->Receive().status, 200);
}

TEST_F(MetricsEndpointTest, BeforeAModelIsLoaded) {
  StartServer(/*with_model=*/false);
  EXPECT_THAT(Scrape(), HasSubstr("oriel_build_info"));
}

TEST_F(MetricsEndpointTest, AClientThatLeavesCounts) {
  StartServer();
  session_->run_gate().Close();
  {
    TestClient client(port());
    client.Send(Post("/api/classify", FakeImage(1)));
    while (pending() < 1) std::this_thread::yield();
  }
  const std::string series =
      R"(oriel_requests_total{protocol="api",route="/api/classify",status="499"})";
  while (Scrape().find(series) == std::string::npos) std::this_thread::yield();
  EXPECT_EQ(Value(Scrape(), series), 1);
}

TEST_F(MetricsEndpointTest, TraceparentNamesARequestThatHasNoId) {
  StartServer();
  const std::string trace =
      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
  EXPECT_EQ(Ask(Get("/healthz", trace)).Header("x-request-id"), id);
  EXPECT_EQ(Ask(Get("/healthz", trace + "X-Request-Id: mine\r\n")).Header("x-request-id"),
            "mine");
  for (const std::string& bad :
       {trace + trace, std::string("traceparent: 00-4bf9\r\n"),
        std::string("traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-"
                    "00f067aa0ba902b7-01\r\n")}) {
    const TestResponse response = Ask(Get("/healthz", bad));
    EXPECT_EQ(response.status, 200);
    EXPECT_NE(response.Header("x-request-id"), id);
    EXPECT_FALSE(response.Header("x-request-id").empty());
  }
}

}  // namespace
}  // namespace oriel::serving::http
