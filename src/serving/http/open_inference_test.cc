#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

constexpr char kInfer[] = "/v2/models/fake/infer";

// A FakeImage of the digit that ends it, encoded by another program.
std::string Base64(int shown) {
  return fmt::format("\"iVBORw0KGgo{}\"",
                     std::array{"w", "x", "y", "z", "0", "1", "2", "3", "4", "5"}[shown]);
}

std::string Prefixed(const std::string& bytes) {
  const uint32_t size = static_cast<uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&size), 4) + bytes;
}

std::string Floats(int shown) {
  const std::vector<float> pixels(12, static_cast<float>(shown));
  return {reinterpret_cast<const char*>(pixels.data()), 48};
}

class OpenInferenceTest : public ServerTest {
 protected:
  void SetUp() override { StartServer(); }

  boost::json::value Parse(std::string_view text) {
    boost::json::error_code ec;
    auto value = boost::json::parse({text.data(), text.size()}, ec);
    EXPECT_FALSE(ec) << text;
    return value;
  }
  std::string AskJson(const std::string& bytes) {
    const TestResponse response = Ask(bytes);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.Header("content-type"), "application/json");
    return boost::json::serialize(Parse(response.body));
  }
  static std::string Binary(const std::string& json, const std::string& bytes) {
    return Post(kInfer, json + bytes,
                fmt::format("Inference-Header-Content-Length: {}\r\n", json.size()));
  }
  // The answer's floats that follow its JSON, and that JSON.
  std::vector<float> BinaryOutput(const TestResponse& response,
                                  boost::json::value& json) {
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.Header("content-type"), "application/octet-stream");
    const size_t n = std::stoul(response.Header("inference-header-content-length"));
    json = Parse(response.body.substr(0, n));
    const auto& output = json.at("outputs").as_array().at(0);
    EXPECT_EQ(output.at("parameters").at("binary_data_size").to_number<size_t>(),
              response.body.size() - n);
    std::vector<float> floats((response.body.size() - n) / 4);
    std::memcpy(floats.data(), response.body.data() + n, floats.size() * 4);
    return floats;
  }
  void ExpectError(const std::string& request, const std::string& reason,
                   int status = 400) {
    const TestResponse response = Ask(request);
    ExpectJsonError(response, status);
    EXPECT_THAT(response.body, HasSubstr(reason)) << request;
  }
};

TEST_F(OpenInferenceTest, Server) {
  EXPECT_THAT(AskJson(Get("/v2")), HasSubstr(R"("name":"oriel")"));
  EXPECT_EQ(AskJson(Get("/v2/health/live")), R"({"live":true})");
  EXPECT_EQ(AskJson(Get("/v2/health/ready")), R"({"live":true,"ready":true})");
}

TEST_F(OpenInferenceTest, Model) {
  for (const std::string path : {"/v2/models/fake", "/v2/models/fake/versions/7"}) {
    EXPECT_EQ(AskJson(Get(path + "/ready")), R"({"name":"fake","ready":true})");
    EXPECT_EQ(
        AskJson(Get(path)),
        R"({"name":"fake","versions":["7"],"platform":"oriel_classifier",)"
        R"("inputs":[{"name":"input","datatype":"FP32","shape":[-1,2,2,3]}],)"
        R"("outputs":[{"name":"probabilities","datatype":"FP32","shape":[-1,10]}]})");
    const auto config = Parse(AskJson(Get(path + "/config")));
    EXPECT_EQ(config.at("name").as_string(), "fake");
    EXPECT_EQ(config.at("max_batch_size").as_int64(), 4);
    EXPECT_EQ(boost::json::serialize(config.at("input").at(0).at("dims")), "[2,2,3]");
    EXPECT_EQ(boost::json::serialize(config.at("output").at(0).at("dims")), "[10]");
    EXPECT_FALSE(config.at("model_transaction_policy").at("decoupled").as_bool());
  }
  ExpectJsonError(Ask(Get("/v2/models/dog/ready")), 404);
  ExpectJsonError(Ask(Get("/v2/models/fake/versions/8")), 404);
}

TEST_F(OpenInferenceTest, FloatsInJson) {
  for (const char* data :
       {"[4,4,4,4,4,4,4,4,4,4,4,4]", "[[[[4,4,4],[4,4,4]],[[4,4,4],[4,4,4]]]]"}) {
    const auto answer = Parse(AskJson(Post(
        kInfer, fmt::format(R"({{"id":"a1","inputs":[{{"name":"input","shape":[1,2,2,3],)"
                            R"("datatype":"FP32","data":{}}}]}})",
                            data))));
    EXPECT_EQ(answer.at("model_name").as_string(), "fake");
    EXPECT_EQ(answer.at("model_version").as_string(), "7");
    EXPECT_EQ(answer.at("id").as_string(), "a1");
    const auto& output = answer.at("outputs").as_array().at(0);
    EXPECT_EQ(output.at("name").as_string(), "probabilities");
    EXPECT_EQ(output.at("datatype").as_string(), "FP32");
    EXPECT_EQ(boost::json::serialize(output.at("shape")), "[1,10]");
    EXPECT_EQ(output.at("data").as_array().at(4).to_number<double>(), 0.75);
  }
}

TEST_F(OpenInferenceTest, ImagesInJsonAndClassification) {
  const auto answer = Parse(AskJson(Post(
      kInfer,
      fmt::format(R"({{"inputs":[{{"name":"image_bytes","shape":[2],"datatype":"BYTES",)"
                  R"("data":[{},{}]}}],"outputs":[{{"name":"probabilities",)"
                  R"("parameters":{{"classification":2}}}}]}})",
                  Base64(3), Base64(8)))));
  const auto& output = answer.at("outputs").as_array().at(0);
  EXPECT_EQ(output.at("datatype").as_string(), "BYTES");
  EXPECT_EQ(boost::json::serialize(output.at("shape")), "[2,2]");
  EXPECT_EQ(output.at("data").as_array().at(0).as_string(), "0.750000:3:label 3 <b>&\"");
  EXPECT_THAT(std::string(output.at("data").as_array().at(1).as_string()),
              HasSubstr("0.027778:0:"));
  EXPECT_EQ(output.at("data").as_array().at(2).as_string(), "0.750000:8:label 8 <b>&\"");
}

TEST_F(OpenInferenceTest, BinaryTensors) {
  boost::json::value json;
  const std::string bytes = Prefixed(FakeImage(5)) + Prefixed(FakeImage(6));
  auto floats = BinaryOutput(
      Ask(Binary(
          fmt::format(R"({{"inputs":[{{"name":"input","shape":[2],)"
                      R"("datatype":"BYTES","parameters":{{"binary_data_size":{}}}}}],)"
                      R"("parameters":{{"binary_data_output":true}}}})",
                      bytes.size()),
          bytes)),
      json);
  ASSERT_EQ(floats.size(), 20);
  EXPECT_EQ(floats[5], 0.75f);
  EXPECT_EQ(floats[16], 0.75f);
  // A single input may leave out its size.
  floats = BinaryOutput(
      Ask(Binary(
          R"({"inputs":[{"name":"input","shape":[1,2,2,3],"datatype":"FP32"}],)"
          R"("outputs":[{"name":"probabilities","parameters":{"binary_data":true}}]})",
          Floats(2))),
      json);
  ASSERT_EQ(floats.size(), 10);
  EXPECT_EQ(floats[2], 0.75f);
  // Binary in, JSON out.
  EXPECT_THAT(AskJson(Binary(
                  R"({"inputs":[{"name":"input","shape":[1,2,2,3],"datatype":"FP32"}]})",
                  Floats(2))),
              HasSubstr(R"("shape":[1,10],"data":[)"));
}

TEST_F(OpenInferenceTest, BareBodies) {
  boost::json::value json;
  for (const auto& [body, rows] :
       {std::pair{FakeImage(7), 1}, {Floats(7), 1}, {Floats(7) + Floats(1), 2}}) {
    const auto floats = BinaryOutput(
        Ask(Post(kInfer, body, "Inference-Header-Content-Length: 0\r\n")), json);
    ASSERT_EQ(floats.size(), 10 * rows);
    EXPECT_EQ(floats[7], 0.75f);
  }
}

TEST_F(OpenInferenceTest, RefusesWhatItCannotRead) {
  const auto input = [](std::string_view rest) {
    return fmt::format(R"({{"inputs":[{{"name":"input",{}}}]}})", rest);
  };
  ExpectError(Post(kInfer, ""), "not valid JSON");
  ExpectError(Post(kInfer, "[]"), "want a JSON object");
  ExpectError(Post(kInfer, "{}"), "'inputs' is missing");
  ExpectError(Post(kInfer, R"({"inputs":[{},{}]})"), "a list of 2");
  ExpectError(Post(kInfer, R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]})"),
              "no input 'x'");
  ExpectError(Post(kInfer, input(R"("shape":[1])")), "'datatype' is missing");
  ExpectError(Post(kInfer, input(R"("datatype":"INT8","shape":[1])")), "datatype INT8");
  ExpectError(Post(kInfer, input(R"("datatype":"FP32")")),
              "'shape' of an input is missing");
  for (const char* shape : {"[1,2,2]", "[0,2,2,3]", "[-1,2,2,3]", "[1,3,2,3]"}) {
    ExpectError(
        Post(kInfer, input(fmt::format(R"("datatype":"FP32","shape":{})", shape))),
        "want [N, 2, 2, 3]");
  }
  for (const char* shape : {"[1.5,2,2,3]", "[1e30,2,2,3]"}) {
    ExpectError(
        Post(kInfer, input(fmt::format(R"("datatype":"FP32","shape":{})", shape))),
        "want whole numbers");
  }
  ExpectError(Post(kInfer, input(R"("datatype":"FP32","shape":[1,2,2,3])")), "no data");
  ExpectError(Post(kInfer, input(R"("datatype":"FP32","shape":[1,2,2,3],"data":[1])")),
              "want 12 numbers");
  ExpectError(Post(kInfer, input(R"("datatype":"BYTES","shape":[2],"data":["aa"])")),
              "want 2 strings");
  ExpectError(Post(kInfer, input(R"("datatype":"BYTES","shape":[1],"data":["*"])")),
              "base64");
  ExpectError(
      Post(kInfer, input(R"("datatype":"BYTES","shape":[1],"data":["aGVsbG8="])")),
      "image 0: not an image");
  ExpectError(Binary(input(R"("datatype":"BYTES","shape":[1])"), "abc"),
              "before the length of element 0");
  ExpectError(Binary(input(R"("datatype":"BYTES","shape":[1])"),
                     std::string("\xff\xff\xff\xff", 4) + "x"),
              "has 4294967295 bytes, 1 are left");
  ExpectError(Binary(input(R"("datatype":"BYTES","shape":[1])"), Prefixed("a") + "b"),
              "1 bytes are left");
  ExpectError(Binary(input(R"("datatype":"FP32","shape":[1,2,2,3])"), "abcd"),
              "want 12 floats, 48 bytes");
  ExpectError(Binary(input(R"("datatype":"FP32","shape":[1,2,2,3],)"
                           R"("parameters":{"binary_data_size":44})"),
                     Floats(1)),
              "binary_data_size 44, 48 bytes follow");
  ExpectError(Binary(input(R"("datatype":"FP32","shape":[1,2,2,3],"data":[1])"), "x"),
              "no input wants them");
  for (const char* length : {"-1", "x", "99999999999999999999", "3"}) {
    ExpectError(Post(kInfer, "{}",
                     fmt::format("Inference-Header-Content-Length: {}\r\n", length)),
                "want a number up to the body's 2 bytes");
  }
  const auto with = [&](std::string_view more) {
    return Post(kInfer, fmt::format(R"({{"inputs":[{{"name":"input","datatype":"BYTES",)"
                                    R"("shape":[1],"data":[{}]}}],{}}})",
                                    Base64(1), more));
  };
  EXPECT_EQ(Ask(with(R"("id":"")")).status, 200);
  ExpectError(with(R"("id":3)"), "'id' is a number");
  ExpectError(with(R"("outputs":[{"name":"x"}])"), "no output 'x'");
  ExpectError(
      with(R"("outputs":[{"name":"probabilities","parameters":{"classification":-1}}])"),
      "want a whole number from 0");
  ExpectError(with(R"("parameters":{"binary_data_output":1})"), "want true or false");
  ExpectError(with(R"("parameters":{"timeout":0.5})"), "want a whole number");
  ExpectError(Post("/v2/models/dog/infer", "{}"), "no model 'dog'", 404);
}

TEST_F(OpenInferenceTest, TimeoutIsTheDeadline) {
  session_->run_gate().Close();
  const auto request = [](int64_t timeout_us) {
    return Post(
        kInfer,
        fmt::format(R"({{"inputs":[{{"name":"input","datatype":"BYTES",)"
                    R"("shape":[1],"data":[{}]}}],"parameters":{{"timeout":{}}}}})",
                    Base64(1), timeout_us));
  };
  TestClient busy(port());
  busy.Send(request(0));  // none
  session_->run_gate().AwaitArrived(warm_up_runs_ + 1);
  TestClient late(port());
  late.Send(request(1000));
  while (pending() < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  session_->run_gate().Open();
  EXPECT_EQ(busy.Receive().status, 200);
  ExpectJsonError(late.Receive(), 504);
}

TEST_F(OpenInferenceTest, Repository) {
  EXPECT_EQ(AskJson(Post("/v2/repository/index", "")),
            R"([{"name":"fake","version":"7","state":"READY","reason":""}])");
  EXPECT_EQ(AskJson(Post("/v2/repository/index", R"({"ready":true})")),
            R"([{"name":"fake","version":"7","state":"READY","reason":""}])");
  ExpectError(Post("/v2/repository/index", R"({"ready":1})"), "want {");
  ExpectError(Post("/v2/repository/models/fake/unload", ""), "--load-on-demand", 403);
}

class OnDemandTest : public OpenInferenceTest {
 protected:
  void SetUp() override {
    repository_options_.load_on_demand = true;
    StartServer();
  }
};

TEST_F(OnDemandTest, LoadsAndUnloads) {
  EXPECT_EQ(AskJson(Get("/v2/health/ready")), R"({"live":true,"ready":true})");
  ExpectJsonError(Ask(Get("/v2/models/fake/ready")), 503);
  EXPECT_EQ(AskJson(Post("/v2/repository/index", "")),
            R"([{"name":"fake","state":"UNAVAILABLE","reason":"unloaded"}])");
  EXPECT_EQ(AskJson(Post("/v2/repository/index", R"({"ready":true})")), "[]");
  EXPECT_EQ(AskJson(Post("/v2/repository/models/fake/load", "")), "{}");
  EXPECT_EQ(AskJson(Get("/v2/models/fake/ready")), R"({"name":"fake","ready":true})");
  EXPECT_EQ(AskJson(Post("/v2/repository/models/fake/unload", "{}")), "{}");
  ExpectJsonError(Ask(Get("/v2/models/fake/ready")), 503);
  EXPECT_EQ(AskJson(Post("/v2/repository/index", "")),
            R"([{"name":"fake","version":"7","state":"UNAVAILABLE","reason":""}])");
  ExpectError(Post("/v2/repository/models/dog/load", ""), "no model 'dog'", 404);
}

}  // namespace
}  // namespace oriel::serving::http
