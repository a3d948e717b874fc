#include "serving/grpc/message_cost.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "inference/grpc_service.pb.h"
#include "tensorflow_serving/prediction_service.pb.h"

namespace oriel::serving::grpc {
namespace {

absl::StatusOr<uint64_t> Cost(const google::protobuf::Message& message,
                              uint64_t max_bytes = uint64_t{1} << 30) {
  const std::string wire = message.SerializeAsString();
  google::protobuf::io::ArrayInputStream stream(wire.data(),
                                                static_cast<int>(wire.size()));
  return MessageCost(*message.GetDescriptor(), stream, max_bytes);
}

// libprotobuf's own account of what a message takes is the measure.
template <typename Message>
void ExpectEnough(const Message& message) {
  Message copy;
  ASSERT_TRUE(copy.ParseFromString(message.SerializeAsString()));
  ASSERT_OK_AND_ASSIGN(const uint64_t cost, Cost(message));
  EXPECT_GE(cost, copy.SpaceUsedLong());
  EXPECT_LT(cost, 5 * copy.SpaceUsedLong() + 1000);
}

TEST(MessageCostTest, IsWhatParsingTakes) {
  inference::ModelInferRequest request;
  ExpectEnough(request);
  request.set_model_name(std::string(100, 'x'));
  request.add_raw_input_contents(std::string(1 << 20, 'x'));
  ExpectEnough(request);
  for (int i = 0; i < 1000; ++i) request.add_inputs();
  ExpectEnough(request);
  for (int i = 0; i < 10'000; ++i) request.mutable_inputs(0)->add_shape(1);
  ExpectEnough(request);
  for (int i = 0; i < 10'000; ++i) {
    request.mutable_inputs(1)->mutable_contents()->add_bytes_contents("");
    request.mutable_inputs(1)->mutable_contents()->add_fp32_contents(1);
    request.mutable_inputs(1)->mutable_contents()->add_bool_contents(true);
  }
  ExpectEnough(request);
  tensorflow::serving::PredictRequest predict;
  for (int i = 0; i < 1000; ++i) (*predict.mutable_inputs())[std::to_string(i)];
  ExpectEnough(predict);
}

TEST(MessageCostTest, ImagesCostLittleMoreThanTheirBytes) {
  inference::ModelInferRequest request;
  request.add_raw_input_contents(std::string(10 << 20, 'x'));
  ASSERT_OK_AND_ASSIGN(const uint64_t cost, Cost(request));
  EXPECT_LT(cost, (10 << 20) + 1000);
}

// Two bytes on the wire, some hundred in memory.
TEST(MessageCostTest, StopsAtTheLimit) {
  inference::ModelInferRequest request;
  for (int i = 0; i < 100'000; ++i) request.add_inputs();
  EXPECT_LT(request.ByteSizeLong(), 250'000u);
  EXPECT_TRUE(absl::IsInvalidArgument(Cost(request, 1 << 20).status()));
  // Fields that nobody knows are kept, too.
  inference::ModelStatistics unknown;
  std::string wire;
  for (int i = 0; i < 100'000; ++i) wire += "\x78\x01";  // field 15: 1
  google::protobuf::io::ArrayInputStream stream(wire.data(),
                                                static_cast<int>(wire.size()));
  EXPECT_FALSE(MessageCost(*unknown.GetDescriptor(), stream, 1 << 20).ok());
}

TEST(MessageCostTest, RefusesWhatIsNoMessage) {
  inference::ModelInferRequest request;
  request.set_model_name("fake");
  auto& input = *request.add_inputs();
  input.set_name("input");
  input.mutable_contents()->add_bytes_contents("image");
  const std::string wire = request.SerializeAsString();
  const auto cost = [&](std::string_view bytes) {
    google::protobuf::io::ArrayInputStream stream(bytes.data(),
                                                  static_cast<int>(bytes.size()));
    return MessageCost(*request.GetDescriptor(), stream, 1 << 20);
  };
  EXPECT_OK(cost(wire).status());
  // Every prefix that libprotobuf does not take is refused.
  for (size_t size = 0; size < wire.size(); ++size) {
    inference::ModelInferRequest parsed;
    const bool good = parsed.ParseFromArray(wire.data(), static_cast<int>(size));
    EXPECT_EQ(cost(std::string_view(wire).substr(0, size)).ok(), good) << size;
  }
  EXPECT_FALSE(cost("\x0b\x0c").ok());                  // a group
  EXPECT_FALSE(cost("\x0a\xff\xff\xff\xff\x0f").ok());  // a length of 4 GiB
  EXPECT_FALSE(cost("\x2a\x02\x0a\x7f").ok());          // beyond what holds it
}

}  // namespace
}  // namespace oriel::serving::grpc
