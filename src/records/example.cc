#include "records/example.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>

namespace oriel::records {

void ExampleBuilder::SetBytes(const std::string& name, std::string_view value) {
  auto& feature = (*example_.mutable_features()->mutable_feature())[name];
  feature.mutable_bytes_list()->add_value(std::string(value));
}

void ExampleBuilder::SetInt64(const std::string& name, int64_t value) {
  auto& feature = (*example_.mutable_features()->mutable_feature())[name];
  feature.mutable_int64_list()->add_value(value);
}

void ExampleBuilder::SetFloats(const std::string& name, std::span<const float> values) {
  auto& feature = (*example_.mutable_features()->mutable_feature())[name];
  feature.mutable_float_list()->mutable_value()->Add(values.begin(), values.end());
}

std::string ExampleBuilder::Serialize() const {
  std::string bytes;
  bytes.reserve(example_.ByteSizeLong());
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    example_.SerializeToCodedStream(&coded);
  }
  return bytes;
}

absl::StatusOr<tensorflow::Example> ParseExample(Bytes bytes, std::string_view what) {
  tensorflow::Example example;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !example.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DataLoss("{}: {} bytes are no tf.Example", what, bytes.size());
  }
  return example;
}

}  // namespace oriel::records
