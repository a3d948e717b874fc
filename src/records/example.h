// tf.Example: named features, each a list of bytes, floats or integers. What the records
// of a TFRecord file usually are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"
#include "tensorflow/example.pb.h"

namespace oriel::records {

// Builds one example. One thread at a time.
class ExampleBuilder {
 public:
  void SetBytes(const std::string& name, std::string_view value);
  void SetInt64(const std::string& name, int64_t value);
  void SetFloats(const std::string& name, std::span<const float> values);

  // The message's bytes, features in the order of their names: the same features give
  // the same bytes.
  std::string Serialize() const;

 private:
  tensorflow::Example example_;
};

// kDataLoss that names `what` for bytes that are no tf.Example.
absl::StatusOr<tensorflow::Example> ParseExample(Bytes bytes, std::string_view what);

}  // namespace oriel::records
