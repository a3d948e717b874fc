// Writes variables to checkpoints that TensorFlow and the safetensors package read.
// docs/formats/checkpoints.md says what is written, byte by byte.
//
// Tensors are read from the source one by one, so that memory for the largest of them
// is enough (three times that for V1, whose records are protobuf messages). The same
// variables give the same bytes. Files appear under their names whole or not at all.
// Between tensors Ctrl-C is looked at: kCancelled, and nothing new is there.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "tensor/variable_source.h"

namespace oriel::checkpoint {

struct SaveOptions {
  // The safetensors header's "__metadata__"; other formats have none.
  std::map<std::string, std::string> metadata;
  // Told the bytes of the tensors that were written.
  Progress* progress = nullptr;
};

// Variables of any dtype but uint32, uint64 and bfloat16, which V1 has no lists of
// values for (kInvalidArgument), and of less than 2 GiB (kResourceExhausted). One file.
absl::Status SaveTensorFlowV1(const std::filesystem::path& path,
                              const VariableSource& variables,
                              const SaveOptions& options = {});

// PREFIX.data-00000-of-00001, then PREFIX.index. A checkpoint that is there under the
// prefix is replaced: for a moment there is none, but never the index of one with the
// data of the other.
absl::Status SaveTensorFlowV2(const std::filesystem::path& prefix,
                              const VariableSource& variables,
                              const SaveOptions& options = {});

// Variables of any dtype but string and complex128, which the format has not
// (kInvalidArgument).
absl::Status SaveSafetensors(const std::filesystem::path& path,
                             const VariableSource& variables,
                             const SaveOptions& options = {});

// One of the above. kInvalidArgument for formats that are not written.
absl::Status Save(Format format, const std::filesystem::path& path,
                  const VariableSource& variables, const SaveOptions& options = {});

}  // namespace oriel::checkpoint
