// Opens a checkpoint of any format that Oriel reads. docs/formats/checkpoints.md
// describes the formats and the limits of their readers.
#pragma once

#include <filesystem>
#include <memory>

#include "base/status.h"
#include "tensor/variable_source.h"

namespace oriel::checkpoint {

enum class Format {
  kUnknown,
  kTensorFlowV1,
  kTensorFlowV2,
  kPyTorchZip,
  kPyTorchLegacy,
  kSafetensors,
  kHdf5,
};

// The format that `path` is in, judged by bytes alone. `path` is a file, the
// prefix of a V2 checkpoint (which wins when PATH.index exists), or the prefix,
// the pattern (NAME-?????-of-?????) or one shard of a V1 checkpoint. kNotFound
// and so on when there is nothing to look at.
absl::StatusOr<Format> Detect(const std::filesystem::path& path);

// Opens `path` as Detect sees it. kInvalidArgument that lists what was tried when
// it is in none of the formats; else the errors of the format's reader.
absl::StatusOr<std::shared_ptr<const VariableSource>> Open(
    const std::filesystem::path& path);

}  // namespace oriel::checkpoint
