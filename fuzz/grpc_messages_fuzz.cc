// Messages of gRPC calls: the first byte chooses the call. What MessageCost lets through
// is parsed within what it said, and then read as the model would.

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdint>
#include <cstdlib>

#include "serving/grpc/infer_messages.h"
#include "serving/grpc/message_cost.h"
#include "serving/grpc/predict_messages.h"
#include "serving/testing.h"

namespace {

using oriel::serving::ClassifyRequest;
using oriel::serving::FakeSession;
namespace grpc_messages = oriel::serving::grpc;

constexpr uint64_t kMaxBytes = 8 << 20;

// False for what is not to be parsed.
template <typename Message>
bool Parse(const uint8_t* data, size_t size, Message& message) {
  google::protobuf::io::ArrayInputStream stream(data, static_cast<int>(size));
  const auto cost = grpc_messages::MessageCost(*Message::descriptor(), stream, kMaxBytes);
  const bool parsed = message.ParseFromArray(data, static_cast<int>(size));
  if (!cost.ok()) return false;
  if (parsed && message.SpaceUsedLong() > *cost) std::abort();
  return parsed;
}

// No request asks for more than came.
void Check(const absl::StatusOr<ClassifyRequest>& request, size_t size) {
  if (!request.ok()) return;
  size_t bytes = request->pixels.size() * sizeof(float);
  for (const auto& image : request->images) bytes += image->size();
  if (bytes > size || request->images.size() > size) std::abort();
  if (request->images.empty() == request->pixels.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const FakeSession session;
  const uint8_t call = data[0];
  ++data;
  --size;
  switch (call % 4) {
    case 0: {
      inference::ModelInferRequest request;
      if (!Parse(data, size, request)) return 0;
      (void)grpc_messages::SpecFrom(request.model_name(), request.model_version());
      auto plan = grpc_messages::ReadInferRequest(request, session, {});
      if (plan.ok()) Check(std::move(plan->classify), size);
      return 0;
    }
    case 1: {
      tensorflow::serving::PredictRequest request;
      if (!Parse(data, size, request)) return 0;
      auto plan = grpc_messages::ReadPredictRequest(request, session, 5);
      if (plan.ok()) Check(std::move(plan->classify), size);
      return 0;
    }
    case 2: {
      tensorflow::serving::ClassificationRequest request;
      if (!Parse(data, size, request)) return 0;
      Check(grpc_messages::ReadExamples(*request.mutable_input(), 5), size);
      return 0;
    }
    default: {
      tensorflow::serving::MultiInferenceRequest request;
      if (Parse(data, size, request)) (void)grpc_messages::CheckTasks(request);
      return 0;
    }
  }
}
