#include <grpcpp/grpcpp.h>

#include "serving/grpc/server_test_fixture.h"
#include "tensorflow_serving/model_service.grpc.pb.h"
#include "tensorflow_serving/prediction_service.grpc.pb.h"

namespace oriel::serving::grpc {
namespace {

namespace proto = tensorflow::serving;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

class TensorFlowServingServiceTest : public GrpcServerTest {
 protected:
  void Start() {
    StartServer();
    stub_ = proto::PredictionService::NewStub(channel_);
    models_stub_ = proto::ModelService::NewStub(channel_);
  }

  ::grpc::Status Predict(const proto::PredictRequest& request,
                         const std::string& top_k = "") {
    ::grpc::ClientContext context;
    if (!top_k.empty()) context.AddMetadata("top-k", top_k);
    response_.Clear();
    return stub_->Predict(&context, request, &response_);
  }

  static proto::PredictRequest Images(std::initializer_list<int> shown) {
    proto::PredictRequest request;
    request.mutable_model_spec()->set_name("fake");
    ::tensorflow::TensorProto& tensor = (*request.mutable_inputs())["image_bytes"];
    tensor.set_dtype(::tensorflow::DT_STRING);
    tensor.mutable_tensor_shape()->add_dim()->set_size(
        static_cast<int64_t>(shown.size()));
    for (const int image : shown) tensor.add_string_val(FakeImage(image));
    return request;
  }

  static ::tensorflow::TensorProto& Tensor(proto::PredictRequest& request) {
    return (*request.mutable_inputs())["image_bytes"];
  }

  std::unique_ptr<proto::PredictionService::Stub> stub_;
  std::unique_ptr<proto::ModelService::Stub> models_stub_;
  proto::PredictResponse response_;
};

TEST_F(TensorFlowServingServiceTest, Predict) {
  Start();
  const ::grpc::Status status = Predict(Images({3, 8}));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.model_spec().name(), "fake");
  EXPECT_EQ(response_.model_spec().version().value(), 7);
  ASSERT_EQ(response_.outputs().size(), 1u);
  const auto& tensor = response_.outputs().at("probabilities");
  EXPECT_EQ(tensor.dtype(), ::tensorflow::DT_FLOAT);
  ASSERT_EQ(tensor.float_val_size(), 20);
  EXPECT_EQ(tensor.float_val(3), 0.75f);
  EXPECT_EQ(tensor.float_val(18), 0.75f);
}

TEST_F(TensorFlowServingServiceTest, TopK) {
  Start();
  proto::PredictRequest request = Images({3, 8});
  request.mutable_model_spec()->set_signature_name("top_k");
  ASSERT_TRUE(Predict(request, "2").ok());
  EXPECT_THAT(response_.outputs().at("indices").int_val(), ElementsAre(3, 0, 8, 0));
  EXPECT_EQ(response_.outputs().at("scores").float_val(2), 0.75f);
  EXPECT_EQ(response_.outputs().at("classes").string_val(0), "label 3 <b>&\"");
  request.add_output_filter("scores");
  ASSERT_TRUE(Predict(request).ok());
  EXPECT_EQ(response_.outputs().size(), 1u);
  EXPECT_EQ(response_.outputs().at("scores").tensor_shape().dim(1).size(), 5);
  for (const char* wrong : {"0", "-1", "x", "1x", "99999999999"}) {
    EXPECT_GRPC_ERROR(Predict(request, wrong), INVALID_ARGUMENT, "top-k");
  }
}

// What is refused as REST refuses it, and what is only here.
TEST_F(TensorFlowServingServiceTest, RefusesWhatItCannotRead) {
  Start();
  const auto refuse = [&](const char* text, const auto& change) {
    proto::PredictRequest request = Images({3, 8});
    change(request);
    EXPECT_GRPC_ERROR(Predict(request), INVALID_ARGUMENT, text);
  };
  using Request = proto::PredictRequest;
  refuse("2 inputs", [](Request& r) { (*r.mutable_inputs())["other"]; });
  refuse("no signature 'x'",
         [](Request& r) { r.mutable_model_spec()->set_signature_name("x"); });
  refuse("DT_INT64", [](Request& r) { Tensor(r).set_dtype(::tensorflow::DT_INT64); });
  refuse("unknown rank",
         [](Request& r) { Tensor(r).mutable_tensor_shape()->set_unknown_rank(true); });
  refuse("2 values in string_val: want 3", [](Request& r) {
    Tensor(r).mutable_tensor_shape()->mutable_dim(0)->set_size(3);
  });
  refuse("want [N]", [](Request& r) {
    Tensor(r).mutable_tensor_shape()->mutable_dim(0)->set_size(int64_t{1} << 60);
  });
  refuse("want [N]", [](Request& r) {
    Tensor(r).mutable_tensor_shape()->mutable_dim(0)->set_size(-1);
  });
  refuse("want [N, 2, 2, 3]",
         [](Request& r) { Tensor(r).set_dtype(::tensorflow::DT_FLOAT); });
  // The lengths of strings in tensor_content.
  const auto content = [&](const char* text, const std::string& bytes) {
    refuse(text, [&](Request& r) {
      Tensor(r).clear_string_val();
      Tensor(r).set_tensor_content(bytes);
    });
  };
  content("ends before 2 lengths", "\x01");
  content("no 2 lengths", "\xff\xff\xff");
  content("no 2 lengths", std::string("\x05\x7f") + "12345");
  content("5 bytes of strings: want 7", std::string("\x05\x02") + "12345");
  content("8 bytes of strings: want 7", std::string("\x05\x02") + "12345678");
  content("image 0: not an image", std::string("\x05\x02") + "1234567");
}

TEST_F(TensorFlowServingServiceTest, FloatsMustBeAll) {
  Start();
  proto::PredictRequest request = Images({});
  auto& tensor = Tensor(request);
  tensor.set_dtype(::tensorflow::DT_FLOAT);
  tensor.clear_tensor_shape();
  for (const int64_t size : {1'000'000, 2, 2, 3}) {
    tensor.mutable_tensor_shape()->add_dim()->set_size(size);
  }
  tensor.add_float_val(1);
  EXPECT_GRPC_ERROR(Predict(request), INVALID_ARGUMENT, "1 values in float_val");
  tensor.mutable_tensor_shape()->mutable_dim(0)->set_size(1);
  tensor.clear_float_val();
  for (int i = 0; i < 12; ++i) tensor.add_float_val(5);
  ASSERT_TRUE(Predict(request).ok());
  EXPECT_EQ(response_.outputs().at("probabilities").float_val(5), 0.75f);
}

TEST_F(TensorFlowServingServiceTest, FullQueueIsResourceExhausted) {
  model_options_.max_pending = 2;
  Start();
  EXPECT_GRPC_ERROR(Predict(Images({1, 2, 3})), RESOURCE_EXHAUSTED, "busy");
}

TEST_F(TensorFlowServingServiceTest, Examples) {
  Start();
  proto::ClassificationRequest request;
  request.mutable_model_spec()->set_name("fake");
  proto::ClassificationResponse response;
  const auto classify = [&] {
    ::grpc::ClientContext context;
    return stub_->Classify(&context, request, &response);
  };
  EXPECT_GRPC_ERROR(classify(), INVALID_ARGUMENT, "no examples");
  auto& example = *request.mutable_input()->mutable_example_list()->add_examples();
  EXPECT_GRPC_ERROR(classify(), INVALID_ARGUMENT, "neither");
  auto& features = *example.mutable_features()->mutable_feature();
  features["image/encoded"].mutable_float_list()->add_value(1);
  EXPECT_GRPC_ERROR(classify(), INVALID_ARGUMENT, "0 images");
  features["image/encoded"].mutable_bytes_list()->add_value(FakeImage(4));
  ASSERT_TRUE(classify().ok());
  ASSERT_EQ(response.result().classifications_size(), 1);
  EXPECT_EQ(response.result().classifications(0).classes(0).label(), "label 4 <b>&\"");
  features["image_bytes"].mutable_bytes_list()->add_value(FakeImage(4));
  EXPECT_GRPC_ERROR(classify(), INVALID_ARGUMENT, "2 images");
  features.erase("image_bytes");
  // With a context, which adds nothing.
  proto::Input input;
  *input.mutable_example_list_with_context()->add_examples() = example;
  *request.mutable_input() = input;
  EXPECT_TRUE(classify().ok());
}

TEST_F(TensorFlowServingServiceTest, MultiInference) {
  Start();
  proto::MultiInferenceRequest request;
  proto::MultiInferenceResponse response;
  const auto infer = [&] {
    ::grpc::ClientContext context;
    response.Clear();
    return stub_->MultiInference(&context, request, &response);
  };
  EXPECT_GRPC_ERROR(infer(), INVALID_ARGUMENT, "no tasks");
  for (int i = 0; i < 2; ++i) {
    auto& task = *request.add_tasks();
    task.mutable_model_spec()->set_name("fake");
    task.set_method_name("tensorflow/serving/classify");
  }
  auto& example = *request.mutable_input()->mutable_example_list()->add_examples();
  (*example.mutable_features()->mutable_feature())["image_bytes"]
      .mutable_bytes_list()
      ->add_value(FakeImage(2));
  ASSERT_TRUE(infer().ok());
  EXPECT_EQ(response.results_size(), 2);
  request.mutable_tasks(1)->mutable_model_spec()->set_name("other");
  EXPECT_GRPC_ERROR(infer(), INVALID_ARGUMENT, "several models");
  request.mutable_tasks(1)->mutable_model_spec()->set_name("fake");
  request.mutable_tasks(1)->set_method_name("x");
  EXPECT_GRPC_ERROR(infer(), INVALID_ARGUMENT, "no method 'x'");
  request.mutable_tasks(1)->set_method_name("tensorflow/serving/regress");
  EXPECT_GRPC_ERROR(infer(), INVALID_ARGUMENT, "no regression");
}

TEST_F(TensorFlowServingServiceTest, StatusAndMetadata) {
  repository_options_.settings.labels["stable"] = 7;
  Start();
  proto::GetModelStatusRequest request;
  request.mutable_model_spec()->set_name("fake");
  proto::GetModelStatusResponse response;
  const auto status = [&] {
    ::grpc::ClientContext context;
    response.Clear();
    return models_stub_->GetModelStatus(&context, request, &response);
  };
  ASSERT_TRUE(status().ok());
  ASSERT_EQ(response.model_version_status_size(), 1);
  EXPECT_EQ(response.model_version_status(0).version(), 7);
  EXPECT_EQ(response.model_version_status(0).state(),
            proto::ModelVersionStatus::AVAILABLE);
  request.mutable_model_spec()->set_version_label("stable");
  EXPECT_TRUE(status().ok());
  request.mutable_model_spec()->set_version_label("canary");
  EXPECT_GRPC_ERROR(status(), NOT_FOUND, "canary");
  request.mutable_model_spec()->mutable_version()->set_value(8);
  EXPECT_GRPC_ERROR(status(), NOT_FOUND, "no such version");

  proto::GetModelMetadataRequest ask;
  ask.mutable_model_spec()->set_name("fake");
  ask.add_metadata_field("signature_def");
  proto::GetModelMetadataResponse answer;
  {
    ::grpc::ClientContext context;
    ASSERT_TRUE(stub_->GetModelMetadata(&context, ask, &answer).ok());
  }
  proto::SignatureDefMap signatures;
  ASSERT_TRUE(answer.metadata().at("signature_def").UnpackTo(&signatures));
  EXPECT_EQ(answer.metadata().at("signature_def").type_url(),
            "type.googleapis.com/tensorflow.serving.SignatureDefMap");
  std::vector<std::string> names;
  for (const auto& [name, signature] : signatures.signature_def()) names.push_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("serving_default", "top_k"));
  ask.add_metadata_field("x");
  ::grpc::ClientContext context;
  EXPECT_GRPC_ERROR(stub_->GetModelMetadata(&context, ask, &answer), INVALID_ARGUMENT,
                    "no metadata 'x'");
}

}  // namespace
}  // namespace oriel::serving::grpc
