// A frozen graph that decodes images itself, as the demos exported: bytes of an image in,
// labels out, without a model directory.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/dynamic_plan.h"
#include "model/session.h"

namespace oriel::model {

struct GraphClassifierOptions {
  engine::Backend backend = engine::Backend::kAuto;
  engine::Precision precision = engine::Precision::kF32;  // not int8, not auto
  int threads = 0;  // of one Run; 0: all that the process may use
};

// Not thread-safe.
class GraphClassifier {
 public:
  // The graph has one string placeholder, and one output that nothing reads: scores of
  // one row. kInvalidArgument that says what it has instead. Labels are ImageNet's where
  // there are 1,000 or 1,001 scores, else numbers.
  static absl::StatusOr<std::unique_ptr<GraphClassifier>> Open(
      const std::filesystem::path& graph, const GraphClassifierOptions& options);
  virtual ~GraphClassifier() = default;

  // The k best, best first. The graph decides how the image is turned: EXIF is not
  // looked at, as in TensorFlow.
  virtual absl::StatusOr<std::vector<ScoredLabel>> Classify(Bytes image, int k) = 0;
};

}  // namespace oriel::model
