// Test support: writes TensorFlow checkpoints, V1 and V2, byte for byte as
// TensorFlow 2.21 writes them, with what save.h has no need of: shards, partitions,
// snappy (leveldb's TableBuilder makes the tables, so that readers and save.h's writers
// are tested against another implementation of the format).
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/status.h"
#include "tensor/variable_source.h"

namespace oriel::checkpoint {

struct CheckpointWriterOptions {
  // Files (V1) or data files (V2) to spread variables over, in turns. V1 adds
  // -?????-of-????? to the name when there are several.
  int shards = 1;
  // Variables to cut into that many slices along dimension 0; V1 spreads the
  // slices over the shards too.
  std::map<std::string, int> partitions;
  bool snappy = false;
  size_t block_size = 256 << 10;  // TensorFlow's
};

// One file at `path`. Not atomic.
absl::Status WriteTensorFlowV1(const std::filesystem::path& path,
                               const VariableSource& variables,
                               const CheckpointWriterOptions& options = {});

// PREFIX.index and PREFIX.data-?????-of-?????. Not atomic.
absl::Status WriteTensorFlowV2(const std::filesystem::path& prefix,
                               const VariableSource& variables,
                               const CheckpointWriterOptions& options = {});

}  // namespace oriel::checkpoint
