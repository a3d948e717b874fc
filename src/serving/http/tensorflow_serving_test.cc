#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

constexpr char kPredict[] = "/v1/models/fake:predict";
constexpr char kTopK[] = R"("signature_name":"top_k")";

// A FakeImage of the digit that ends it, encoded by another program.
std::string Image(int shown) {
  return fmt::format(R"({{"b64":"iVBORw0KGgo{}"}})", "wxyz012345"[shown]);
}

class TensorFlowServingTest : public ServerTest {
 protected:
  boost::json::value Parse(const TestResponse& response) {
    boost::json::error_code ec;
    auto value = boost::json::parse(response.body, ec);
    EXPECT_FALSE(ec) << response.body;
    return value;
  }
  boost::json::value Predict(const std::string& body, const char* path = kPredict) {
    const TestResponse response = Ask(Post(path, body));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.Header("content-type"), "application/json");
    return Parse(response);
  }
  // Of a prediction: the class with 0.75.
  static int Shown(const boost::json::value& probabilities) {
    const auto& list = probabilities.as_array();
    EXPECT_EQ(list.size(), FakeSession::kClasses);
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i].to_number<double>() == 0.75) return static_cast<int>(i);
    }
    return -1;
  }
  // Floats of one image: all the digit.
  static std::string Pixels(int shown) {
    return fmt::format("[[[{0},{0},{0}],[{0},{0},{0}]],[[{0},{0},{0}],[{0},{0},{0}]]]",
                       shown);
  }
  void ExpectError(const std::string& body, const std::string& reason, int status = 400,
                   const char* path = kPredict) {
    const TestResponse response = Ask(Post(path, body));
    ExpectJsonError(response, status);
    EXPECT_THAT(response.body, HasSubstr(reason)) << body;
  }
};

TEST_F(TensorFlowServingTest, PredictsByRow) {
  StartServer();
  for (const char* form :
       {R"({{"instances":[{},{}]}})",
        R"({{"instances":[{{"image_bytes":{}}},{{"image_bytes":{}}}]}})",
        R"({{"signature_name":"serving_default","instances":[{},{}]}})"}) {
    const auto answer = Predict(fmt::format(fmt::runtime(form), Image(3), Image(7)));
    const auto& predictions = answer.at("predictions").as_array();
    ASSERT_EQ(predictions.size(), 2) << form;
    EXPECT_EQ(Shown(predictions[0]), 3);
    EXPECT_EQ(Shown(predictions[1]), 7);
    EXPECT_EQ(answer.as_object().size(), 1);
  }
}

TEST_F(TensorFlowServingTest, PredictsByColumn) {
  StartServer();
  for (const char* form :
       {R"({{"inputs":[{},{}]}})", R"({{"inputs":{{"image_bytes":[{},{}]}}}})"}) {
    const auto answer = Predict(fmt::format(fmt::runtime(form), Image(1), Image(2)));
    const auto& outputs = answer.at("outputs").as_array();
    ASSERT_EQ(outputs.size(), 2) << form;
    EXPECT_EQ(Shown(outputs[0]), 1);
    EXPECT_EQ(Shown(outputs[1]), 2);
  }
  EXPECT_EQ(Shown(Predict(fmt::format(R"({{"inputs":{}}})", Image(4)))
                      .at("outputs")
                      .as_array()
                      .at(0)),
            4);
}

TEST_F(TensorFlowServingTest, TakesWhatTheNetworkTakes) {
  StartServer();
  for (const char* form :
       {R"({{"instances":[{},{}]}})", R"({{"inputs":[{},{}]}})",
        R"({{"instances":[{{"image_bytes":{}}},{{"image_bytes":{}}}]}})"}) {
    const auto answer = Predict(fmt::format(fmt::runtime(form), Pixels(5), Pixels(6)));
    const auto& predictions =
        (answer.as_object().contains("outputs") ? answer.at("outputs")
                                                : answer.at("predictions"))
            .as_array();
    ASSERT_EQ(predictions.size(), 2);
    EXPECT_EQ(Shown(predictions[0]), 5);
    EXPECT_EQ(Shown(predictions[1]), 6);
  }
}

TEST_F(TensorFlowServingTest, TopK) {
  StartServer();
  auto answer = Predict(fmt::format(R"({{{},"instances":[{}]}})", kTopK, Image(8)),
                        "/v1/models/fake/versions/7:predict?top_k=2");
  const auto& row = answer.at("predictions").as_array().at(0);
  EXPECT_EQ(boost::json::serialize(row.at("indices")), "[8,0]");
  EXPECT_EQ(row.at("classes").as_array().at(0).as_string(), "label 8 <b>&\"");
  EXPECT_EQ(row.at("scores").as_array().at(0).to_number<double>(), 0.75);
  answer = Predict(fmt::format(R"({{{},"inputs":[{},{}]}})", kTopK, Image(8), Image(9)));
  EXPECT_EQ(answer.at("outputs").at("indices").as_array().size(), 2);
  EXPECT_EQ(answer.at("outputs").at("classes").as_array().at(1).as_array().size(), 5);
}

TEST_F(TensorFlowServingTest, Classifies) {
  StartServer();
  const char* path = "/v1/models/fake:classify?top_k=1";
  for (const char* form :
       {R"({{"examples":[{{"image_bytes":{}}}]}})",
        R"({{"examples":[{{"image/encoded":[{}]}}],"context":{{}}}})"}) {
    const auto answer = Predict(fmt::format(fmt::runtime(form), Image(6)), path);
    EXPECT_EQ(boost::json::serialize(answer),
              R"({"results":[[["label 6 <b>&\"",7.5E-1]]]})");
  }
  ExpectError(R"({"examples":[]})", "want a list of objects", 400, path);
  ExpectError(R"({"examples":[{"x":1}]})", "image/encoded", 400, path);
  ExpectError(R"({"examples":[{"image_bytes":{"b64":"aaaa"}}],"context":{"a":1}})",
              "no feature 'a'", 400, path);
  ExpectError("{}", "classifies", 400, "/v1/models/fake:regress");
}

TEST_F(TensorFlowServingTest, RefusesWhatItCannotRead) {
  StartServer();
  ExpectError("", "not valid JSON");
  ExpectError("[1]", "want a JSON object");
  ExpectError("{}", "found neither");
  ExpectError(fmt::format(R"({{"instances":[{0}],"inputs":[{0}]}})", Image(1)),
              "found both");
  ExpectError(R"({"instances":[]})", "want a list of images");
  ExpectError(R"({"instances":[3]})", "floats of shape [1]");
  ExpectError(R"({"instances":["x"]})", "an image is a string");
  ExpectError(R"({"instances":[{"b64":"?"}]})", "base64");
  ExpectError(R"({"instances":[{"b64":"aGVsbG8="}]})", "image 0: not an image");
  ExpectError(R"({"instances":[[[[1,2,3]]]]})", "floats of shape [1, 1, 1, 3]");
  ExpectError(fmt::format(R"({{"instances":[{},{}]}})", Image(1), Pixels(1)),
              "want one kind");
  ExpectError(fmt::format(R"({{"instances":[{{"pixels":{}}}]}})", Image(1)),
              "inputs are 'pixels'");
  ExpectError(R"({"instances":[{}]})", "inputs are missing");
  ExpectError(fmt::format(R"({{"signature_name":"x","instances":[{}]}})", Image(1)),
              "no signature 'x'");
  ExpectError(R"({"instances":[],"extra":1})", "unknown key 'extra'");
  ExpectError(R"({"instances":[]})", "no model 'dog'", 404, "/v1/models/dog:predict");
  ExpectError(R"({"instances":[]})", "version 3", 404,
              "/v1/models/fake/versions/3:predict");
  ExpectError(R"({"instances":[]})", "is no number", 400,
              "/v1/models/fake/versions/x:predict");
  ExpectError(R"({"instances":[]})", "no label", 404,
              "/v1/models/fake/labels/stable:predict");
  ExpectError("{}", "nothing at this address", 404, "/v1/models/fake:guess");
  EXPECT_EQ(Ask(Get(kPredict)).status, 405);
}

TEST_F(TensorFlowServingTest, Status) {
  StartServer();
  for (const char* path : {"/v1/models/fake", "/v1/models/fake/versions/7"}) {
    const TestResponse response = Ask(Get(path));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(boost::json::serialize(Parse(response)),
              R"({"model_version_status":[{"version":"7","state":"AVAILABLE",)"
              R"("status":{"error_code":"OK","error_message":""}}]})");
  }
  ExpectJsonError(Ask(Get("/v1/models/dog")), 404);
  ExpectJsonError(Ask(Get("/v1/models/fake/versions/8")), 404);
  ExpectJsonError(Ask(Get("/v1/models/fake/labels/stable")), 404);
}

TEST_F(TensorFlowServingTest, Metadata) {
  StartServer();
  const TestResponse response = Ask(Get("/v1/models/fake/metadata"));
  EXPECT_EQ(response.status, 200);
  const auto metadata = Parse(response);
  EXPECT_EQ(metadata.at("model_spec").at("name").as_string(), "fake");
  EXPECT_EQ(metadata.at("model_spec").at("version").as_string(), "7");
  const auto& signature = metadata.at("metadata")
                              .at("signature_def")
                              .at("signature_def")
                              .at("serving_default");
  EXPECT_EQ(signature.at("method_name").as_string(), "tensorflow/serving/predict");
  EXPECT_EQ(signature.at("inputs").at("image_bytes").at("dtype").as_string(),
            "DT_STRING");
  EXPECT_EQ(boost::json::serialize(
                signature.at("outputs").at("probabilities").at("tensor_shape")),
            R"({"dim":[{"size":"-1","name":""},{"size":"10","name":""}],)"
            R"("unknown_rank":false})");
}

TEST_F(TensorFlowServingTest, WhileLoading) {
  StartServer(/*with_model=*/false);
  ExpectJsonError(Ask(Post(kPredict, "{}")), 404);
  LoadModel();
  EXPECT_EQ(Ask(Get("/v1/models/fake")).status, 200);
}

}  // namespace
}  // namespace oriel::serving::http
