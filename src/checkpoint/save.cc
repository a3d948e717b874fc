#include "checkpoint/save.h"

namespace oriel::checkpoint {

absl::Status Save(Format format, const std::filesystem::path& path,
                  const VariableSource& variables, const SaveOptions& options) {
  switch (format) {
    case Format::kTensorFlowV1:
      return SaveTensorFlowV1(path, variables, options);
    case Format::kTensorFlowV2:
      return SaveTensorFlowV2(path, variables, options);
    case Format::kSafetensors:
      return SaveSafetensors(path, variables, options);
    default:
      return InvalidArgument(
          "{}: Oriel writes TensorFlow V1 and V2 checkpoints and safetensors alone",
          path.string());
  }
}

}  // namespace oriel::checkpoint
