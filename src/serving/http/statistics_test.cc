#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

boost::json::value Parse(const TestResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.Header("content-type"), "application/json");
  return boost::json::parse(response.body);
}

// As perf_analyzer reads it: every member, as a number, without looking first.
uint64_t Count(const boost::json::value& statistics, const char* name) {
  const auto& stats = statistics.at("inference_stats").at(name);
  EXPECT_GE(stats.at("ns").to_number<uint64_t>(), 0);
  return stats.at("count").to_number<uint64_t>();
}

TEST_F(ServerTest, StatisticsAreAnExtension) {
  StartServer();
  EXPECT_THAT(Ask(Get("/v2")).body, HasSubstr("\"statistics\""));
}

TEST_F(ServerTest, StatisticsOfAllOfAModelAndOfAVersion) {
  StartServer();
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  ASSERT_EQ(Ask(Post("/api/classify", FakeImage(4))).status, 200);
  ASSERT_EQ(Ask(Post("/v1/models/fake:predict",
                     R"({"instances":[{"b64":"iVBORw0KGgox"},{"b64":"iVBORw0KGgoy"}]})"))
                .status,
            200);
  ASSERT_EQ(Ask(Post("/api/classify", "no image")).status, 415);
  for (const char* path : {"/v2/models/stats", "/v2/models/fake/stats",
                           "/v2/models/fake/versions/7/stats"}) {
    const auto answer = Parse(Ask(Get(path)));
    ASSERT_EQ(answer.at("model_stats").as_array().size(), 1) << path;
    const auto& model = answer.at("model_stats").at(0);
    EXPECT_EQ(model.at("name").as_string(), "fake");
    EXPECT_EQ(model.at("version").as_string(), "7");
    EXPECT_GE(model.at("last_inference").as_int64(), now.count());
    EXPECT_EQ(model.at("inference_count").to_number<int>(), 3);
    EXPECT_EQ(Count(model, "success"), 2);
    EXPECT_EQ(Count(model, "fail"), 1);
    for (const char* stage :
         {"queue", "compute_input", "compute_infer", "compute_output"}) {
      EXPECT_EQ(Count(model, stage), 2) << stage;
    }
    EXPECT_EQ(Count(model, "cache_hit") + Count(model, "cache_miss"), 0);
    uint64_t executions = 0, images = 0;
    for (const auto& batch : model.at("batch_stats").as_array()) {
      const auto n = batch.at("compute_infer").at("count").to_number<uint64_t>();
      executions += n;
      images += n * batch.at("batch_size").to_number<uint64_t>();
      EXPECT_EQ(batch.at("compute_input").at("count").to_number<uint64_t>(), n);
      EXPECT_TRUE(batch.at("compute_output").is_object());
    }
    EXPECT_EQ(images, 3);
    EXPECT_EQ(model.at("execution_count").to_number<uint64_t>(), executions);
    EXPECT_EQ(executions + warm_up_runs_, session_->runs());
    EXPECT_TRUE(model.at("memory_usage").is_array());
    EXPECT_TRUE(model.at("response_stats").is_object());
  }
}

TEST_F(ServerTest, StatisticsOfWhatIsNotThere) {
  StartServer();
  ExpectJsonError(Ask(Get("/v2/models/dog/stats")), 404);
  ExpectJsonError(Ask(Get("/v2/models/fake/versions/8/stats")), 404);
  ExpectJsonError(Ask(Get("/v2/models/fake/versions/x/stats")), 400);
}

TEST_F(ServerTest, StatisticsBeforeAnythingIsLoaded) {
  StartServer(/*with_model=*/false);
  EXPECT_EQ(Parse(Ask(Get("/v2/models/stats"))).at("model_stats").as_array().size(), 0);
}

TEST_F(ServerTest, RefusedRequestsCountAsFailures) {
  model_options_.max_pending = 1;
  StartServer();
  session_->run_gate().Close();
  TestClient busy(port());
  busy.Send(Post("/api/classify", FakeImage(1)));
  while (pending() < 1) std::this_thread::yield();
  EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1))).status, 429);
  session_->run_gate().Open();
  EXPECT_EQ(busy.Receive().status, 200);
  const auto answer = Parse(Ask(Get("/v2/models/fake/stats")));
  EXPECT_EQ(Count(answer.at("model_stats").at(0), "fail"), 1);
  EXPECT_EQ(Count(answer.at("model_stats").at(0), "success"), 1);
}

}  // namespace
}  // namespace oriel::serving::http
