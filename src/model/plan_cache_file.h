// The file that a plan cache is: a graph without its weights, the weights as kernels
// read them, and what was found fastest. docs/formats/plan_cache.md has the format.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/choices.h"
#include "graph/split_graph.h"

namespace oriel::model {

// What tells one version of a file from another without reading it.
struct FileStamp {
  uint64_t size = 0;
  int64_t modified_ns = 0;  // since the epoch

  bool operator==(const FileStamp&) const = default;
};

// kNotFound and so on, with the path.
absl::StatusOr<FileStamp> StampOf(const std::filesystem::path& path);

struct PlanCacheContents {
  // All that must be as it was for the rest to be of use: program, CPU, model. Text.
  std::string fingerprint;
  FileStamp model;         // of model.pb, when its bytes were known to be the right ones
  std::string_view graph;  // serialized, without the contents of large constants
  std::vector<graph::ContentPlace> contents;  // where these lie in model.pb
  engine::Choices::Entries choices;
  struct Weights {
    std::string key;
    Bytes bytes;  // aligned to 64 in what ParsePlanCache returns
    uint32_t crc = 0;
  };
  std::vector<Weights> weights;  // in the order in which they are used
};

// Borrows `file`, which is aligned to 64. Reads all but the weights' own bytes.
// kDataLoss that names `what` for anything that WritePlanCache did not write.
absl::StatusOr<PlanCacheContents> ParsePlanCache(Bytes file, std::string_view what);

// Reads the weights' bytes. kDataLoss where they are not as they were written.
absl::Status CheckWeights(const PlanCacheContents& contents, std::string_view what);

// Writes atomically, readable by all and writable by the owner alone. The checksums are
// computed here.
absl::Status WritePlanCache(const PlanCacheContents& contents,
                            const std::filesystem::path& path);

}  // namespace oriel::model
