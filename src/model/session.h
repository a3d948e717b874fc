// A model directory made ready to answer: bytes of an image in, scores out.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/plan.h"
#include "engine/quantize/calibration.h"
#include "model/model_config.h"
#include "model/model_graph.h"

namespace oriel::model {

struct SessionOptions {
  engine::Backend backend = engine::Backend::kAuto;
  // kInt8 wants a model with a calibration; kAuto takes one into account.
  engine::Precision precision = engine::Precision::kF32;
  int threads = 0;    // of one Run; 0: all that the process may use
  int max_batch = 8;  // images of one Runner::Run
  uint64_t max_pixels = uint64_t{100} << 20;  // of one image, before decoding
  PlanCacheOptions plan_cache;
};

struct ScoredLabel {
  int index = 0;      // of the model's output
  std::string wnid;   // "" where the model has none
  std::string label;  // the line of descriptions.txt
  float probability = 0;
};

// Immutable and thread-safe; shared by all workers.
class Session : public std::enable_shared_from_this<Session> {
 public:
  // Opens models/<name>/<version> and compiles it.
  static absl::StatusOr<std::shared_ptr<const Session>> Open(
      const std::filesystem::path& version_directory, const SessionOptions& options);
  virtual ~Session() = default;

  virtual const ModelConfig& config() const = 0;
  virtual const SessionOptions& options() const = 0;
  // What options().precision came to, and why where it was kAuto.
  virtual const engine::PrecisionChoice& precision() const = 0;
  // For people: where compiled plans were taken from.
  virtual std::string plan_cache_report() const { return ""; }
  // Keeps what was compiled for the next start, unless it is kept already: best called
  // when the first answer is out. An error says why it could not be; nothing else
  // depends on it.
  virtual absl::Status SavePlanCache() const { return absl::OkStatus(); }
  // "inception_resnet_v2", "1": from the directory's path.
  virtual const std::string& name() const = 0;
  virtual const std::string& version() const = 0;

  virtual int num_classes() const = 0;
  // Floats of one preprocessed image: height * width * 3.
  virtual size_t image_elements() const = 0;

  // Decodes and preprocesses one image as the model wants it. `honor_exif`: turn
  // a photo the way its EXIF orientation says (TensorFlow does not).
  // dst: image_elements() floats, [height,width,3]. kInvalidArgument for bytes
  // that are no image that Oriel reads.
  virtual absl::Status Preprocess(Bytes image, bool honor_exif,
                                  std::span<float> dst) const = 0;

  // Runs the network on batches. One thread at a time per Runner; make one for
  // each worker thread. Outlives nothing: it keeps the session alive.
  class Runner {
   public:
    virtual ~Runner() = default;
    // images: n * image_elements() floats, 1 <= n <= options().max_batch.
    // probabilities: n * num_classes().
    virtual absl::Status Run(std::span<const float> images, int n,
                             std::span<float> probabilities) = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<Runner>> NewRunner() const = 0;

  // The k most probable classes, most probable first, ties by lower index.
  // k is clipped to num_classes().
  virtual std::vector<ScoredLabel> TopK(std::span<const float> probabilities,
                                        int k) const = 0;
};

}  // namespace oriel::model
