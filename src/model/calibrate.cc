#include "model/calibrate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "base/interrupt.h"
#include "base/progress.h"
#include "engine/plan.h"
#include "engine/quantize/quantize.h"
#include "engine/quantize/statistics.h"
#include "graph/graph_util.h"
#include "model/model_directory.h"
#include "model/preprocessor.h"
#include "model/session.h"

namespace oriel::model {
namespace {

using engine::Calibration;
using engine::ChannelMeans;
using engine::QuantizableOp;
using engine::ValueStatistics;

// Ranges and bias corrections are for these; with seven bits they serve as well.
constexpr int kActivationBits = 8;
constexpr int kScanImagesWhereNeeded = 4;

// A plan with its memory, for one image at a time.
struct Runner {
  std::shared_ptr<const engine::Plan> plan;
  std::unique_ptr<engine::ExecutionContext> context;
  std::vector<Tensor> outputs;

  absl::Status Run(const Tensor& image) {
    return plan->Run(*context, {&image, 1}, outputs);
  }
};

int TopClass(std::span<const float> scores) {
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) -
                          scores.begin());
}

class Calibrator {
 public:
  Calibrator(ModelFiles files, tensorflow::GraphDef graph,
             const CalibrateOptions& options, const StepLog& log)
      : files_(std::move(files)), graph_(std::move(graph)), options_(options), log_(log) {
    plan_options_.threads = options.threads;
    plan_options_.weights = engine::NewWeightStore();
    plan_options_.inputs = {
        {files_.config.input, Shape{1, files_.config.height, files_.config.width, 3}}};
    plan_options_.outputs = {files_.config.logits};
  }

  absl::StatusOr<Calibrated> Run(std::span<const ImageInput> images) {
    ASSIGN_OR_RETURN(ops_, engine::ListQuantizable(graph_, plan_options_));
    if (ops_.empty()) {
      return InvalidArgument("the graph has no operation that can be quantized");
    }
    RETURN_IF_ERROR(ReadImages(images));
    RETURN_IF_ERROR(FindRanges());
    for (const QuantizableOp& op : ops_) {
      if (op.first || op.last) calibration_.wider.insert(op.name);
    }
    if (options_.bias_correction) RETURN_IF_ERROR(CorrectBiases());
    if (options_.scan_images > 0) RETURN_IF_ERROR(Scan(options_.scan_images));
    RETURN_IF_ERROR(Widen(options_.keep_wider));
    RETURN_IF_ERROR(ReachGuard());
    RETURN_IF_ERROR(MeasureBf16());
    return Finish();
  }

 private:
  // The decoded images, evenly spaced ones where there are too many.
  absl::Status ReadImages(std::span<const ImageInput> inputs) {
    ASSIGN_OR_RETURN(const Preprocessor preprocessor,
                     Preprocessor::Create(files_.config, SessionOptions().max_pixels));
    const size_t wanted = std::min<size_t>(inputs.size(), options_.max_images);
    Progress progress("reading images", ProgressUnit::kItems, wanted, options_.quiet);
    for (size_t i = 0; i < wanted; ++i) {
      RETURN_IF_ERROR(CheckInterrupted());
      const ImageInput& input = inputs[i * inputs.size() / wanted];
      Tensor image(DType::kFloat32, plan_options_.inputs[0].second);
      const absl::StatusOr<std::string> bytes = input.read();
      const absl::Status status =
          bytes.ok() ? preprocessor.Run(AsBytes(*bytes), options_.honor_exif,
                                        image.mutable_data<float>())
                     : bytes.status();
      if (status.ok()) {
        images_.push_back(std::move(image));
      } else {
        log_(fmt::format("{}: {}", input.name, Message(status)));
      }
      progress.Update(i + 1);
    }
    progress.Finish();
    if (images_.empty()) return InvalidArgument("none of the images can be read");
    return absl::OkStatus();
  }

  absl::StatusOr<Runner> NewRunner(const engine::PlanOptions& options) const {
    Runner runner;
    ASSIGN_OR_RETURN(runner.plan, engine::Plan::Compile(graph_, options));
    runner.context = runner.plan->NewContext();
    runner.outputs = engine::MakeTensors(runner.plan->outputs());
    return runner;
  }

  // Runs float32 over the images; `use` gets each operation's input by its number in
  // values_.
  absl::Status RunValues(
      const char* what,
      const std::function<absl::Status(size_t value, const Tensor& tensor)>& use) {
    if (value_runner_.plan == nullptr) {
      engine::PlanOptions options = plan_options_;
      std::map<std::string, size_t> seen;
      for (const QuantizableOp& op : ops_) {
        if (!seen.emplace(op.input, seen.size()).second) continue;
        values_.push_back(op.input);
        options.outputs.push_back(op.input);
      }
      ASSIGN_OR_RETURN(value_runner_, NewRunner(options));
    }
    Progress progress(what, ProgressUnit::kItems, images_.size(), options_.quiet);
    logits_.clear();
    for (size_t i = 0; i < images_.size(); ++i) {
      RETURN_IF_ERROR(CheckInterrupted());
      RETURN_IF_ERROR(value_runner_.Run(images_[i]));
      const auto logits = value_runner_.outputs[0].data<float>();
      logits_.emplace_back(logits.begin(), logits.end());
      for (size_t v = 0; v < values_.size(); ++v) {
        RETURN_IF_ERROR(use(v, value_runner_.outputs[v + 1]));
      }
      progress.Update(i + 1);
    }
    progress.Finish();
    return absl::OkStatus();
  }

  absl::Status FindRanges() {
    std::vector<ValueStatistics> statistics(ops_.size());
    RETURN_IF_ERROR(RunValues("ranges", [&](size_t v, const Tensor& tensor) {
      statistics[v].AddRange(tensor.data<float>());
      if (statistics[v].not_finite() == 0) return absl::OkStatus();
      return InvalidArgument("value '{}' is not finite for one of the images",
                             values_[v]);
    }));
    if (options_.method != RangeMethod::kMinMax) {
      RETURN_IF_ERROR(RunValues("histograms", [&](size_t v, const Tensor& tensor) {
        statistics[v].AddHistogram(tensor.data<float>());
        return absl::OkStatus();
      }));
    }
    for (size_t v = 0; v < values_.size(); ++v) {
      engine::ValueRange& range = calibration_.ranges[values_[v]];
      switch (options_.method) {
        case RangeMethod::kMinMax:
          range = statistics[v].MinMax();
          break;
        case RangeMethod::kPercentile:
          range = statistics[v].Percentile(options_.percentile);
          break;
        case RangeMethod::kMse:
          range = statistics[v].LeastSquares(kActivationBits);
          break;
      }
    }
    return absl::OkStatus();
  }

  // What Compile gets for the present calibration, with other operations wider.
  engine::PlanOptions QuantizedOptions(std::set<std::string> wider,
                                       int activation_bits = kActivationBits) const {
    auto calibration = std::make_shared<Calibration>(calibration_);
    calibration->wider = std::move(wider);
    engine::PlanOptions options = plan_options_;
    options.precision = engine::Precision::kInt8;
    options.calibration = std::move(calibration);
    options.activation_bits = activation_bits;
    return options;
  }

  absl::Status CorrectBiases() {
    const engine::PlanOptions quantized = QuantizedOptions({});
    ASSIGN_OR_RETURN(const auto ops, engine::ListQuantizable(graph_, quantized));
    std::map<std::string, engine::ActivationQuantization> quantizations;
    for (const QuantizableOp& op : ops) {
      if (op.quantization) quantizations[op.input] = *op.quantization;
    }
    std::map<std::string, ChannelMeans> means;
    RETURN_IF_ERROR(RunValues("means", [&](size_t v, const Tensor& tensor) {
      const auto it = quantizations.find(values_[v]);
      if (it != quantizations.end()) {
        means[values_[v]].Add(tensor.data<float>(), tensor.shape().dim(-1), it->second);
      }
      return absl::OkStatus();
    }));
    ASSIGN_OR_RETURN(calibration_.bias_corrections,
                     engine::BiasCorrections(graph_, quantized, means));
    return absl::OkStatus();
  }

  // The network of another precision against float32 on the first `images` of them.
  absl::StatusOr<engine::Agreement> Measure(const engine::PlanOptions& options,
                                            size_t images, Progress* progress) const {
    ASSIGN_OR_RETURN(Runner runner, NewRunner(options));
    engine::Agreement agreement{.images = static_cast<int>(images)};
    double difference = 0, sum = 0, squares = 0, count = 0;
    int same = 0;
    for (size_t i = 0; i < images; ++i) {
      RETURN_IF_ERROR(CheckInterrupted());
      RETURN_IF_ERROR(runner.Run(images_[i]));
      const auto logits = runner.outputs[0].data<float>();
      for (size_t c = 0; c < logits.size(); ++c) {
        const double exact = logits_[i][c];
        difference += (logits[c] - exact) * (logits[c] - exact);
        sum += exact;
        squares += exact * exact;
        ++count;
      }
      same += TopClass(logits) == TopClass(logits_[i]);
      if (progress != nullptr) progress->Update(i + 1);
    }
    const double variance = squares / count - (sum / count) * (sum / count);
    agreement.top1 = static_cast<double>(same) / static_cast<double>(images);
    agreement.logits_rms = variance > 0 ? std::sqrt(difference / count / variance) : 0;
    return agreement;
  }

  // Each operation alone.
  absl::Status Scan(int images) {
    std::set<std::string> all;
    for (const QuantizableOp& op : ops_) all.insert(op.name);
    Progress progress("sensitivity of each operation", ProgressUnit::kItems, ops_.size(),
                      options_.quiet);
    const size_t count = std::min<size_t>(images, images_.size());
    for (size_t i = 0; i < ops_.size(); ++i) {
      std::set<std::string> others = all;
      others.erase(ops_[i].name);
      ASSIGN_OR_RETURN(const engine::Agreement agreement,
                       Measure(QuantizedOptions(std::move(others)), count, nullptr));
      calibration_.sensitivities.push_back({ops_[i].name, agreement.logits_rms});
      progress.Update(i + 1);
    }
    progress.Finish();
    std::stable_sort(
        calibration_.sensitivities.begin(), calibration_.sensitivities.end(),
        [](const auto& a, const auto& b) { return a.logits_rms > b.logits_rms; });
    return absl::OkStatus();
  }

  // Makes the `count` most sensitive operations wider that are not yet.
  absl::Status Widen(int count) {
    if (count > 0 && calibration_.sensitivities.empty()) {
      RETURN_IF_ERROR(Scan(kScanImagesWhereNeeded));
    }
    for (const engine::Sensitivity& sensitivity : calibration_.sensitivities) {
      if (count == 0) break;
      if (calibration_.wider.insert(sensitivity.op).second) --count;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<engine::Int8Agreement> MeasureAll(int activation_bits) const {
    Progress progress(fmt::format("agreement, {} wider", calibration_.wider.size()),
                      ProgressUnit::kItems, images_.size(), options_.quiet);
    ASSIGN_OR_RETURN(const engine::Agreement agreement,
                     Measure(QuantizedOptions(calibration_.wider, activation_bits),
                             images_.size(), &progress));
    progress.Finish();
    return engine::Int8Agreement{agreement, activation_bits};
  }

  // The guard is for the kernels of this machine; the other kind is measured too.
  absl::Status ReachGuard() {
    const int bits = engine::FastInt8ActivationBits();
    ASSIGN_OR_RETURN(engine::Int8Agreement agreement, MeasureAll(bits));
    for (int more = 1; agreement.top1 < options_.guard; more *= 2) {
      if (2 * calibration_.wider.size() >= ops_.size()) break;
      log_(fmt::format("agreement of {:.1f} %: {} more operations stay float32",
                       agreement.top1 * 100, more));
      RETURN_IF_ERROR(Widen(more));
      ASSIGN_OR_RETURN(agreement, MeasureAll(bits));
    }
    ASSIGN_OR_RETURN(const engine::Int8Agreement other, MeasureAll(bits == 8 ? 7 : 8));
    calibration_.agreements = {agreement, other};
    return absl::OkStatus();
  }

  absl::Status MeasureBf16() {
    Progress progress("agreement of bf16", ProgressUnit::kItems, images_.size(),
                      options_.quiet);
    engine::PlanOptions options = plan_options_;
    options.precision = engine::Precision::kBf16;
    ASSIGN_OR_RETURN(calibration_.bf16, Measure(options, images_.size(), &progress));
    progress.Finish();
    return absl::OkStatus();
  }

  Calibrated Finish() {
    Calibrated result;
    result.quantizable = static_cast<int>(ops_.size());
    for (const QuantizableOp& op : ops_) {
      if (calibration_.wider.contains(op.name)) {
        calibration_.bias_corrections.erase(op.name);
      } else {
        ++result.quantized;
      }
    }
    result.file.model_sha256 = files_.config.model_sha256;
    result.file.method = MethodName();
    result.file.images = static_cast<int>(images_.size());
    result.file.calibration = std::move(calibration_);
    return result;
  }

  std::string MethodName() const {
    switch (options_.method) {
      case RangeMethod::kMinMax:
        return "minmax";
      case RangeMethod::kPercentile:
        return fmt::format("percentile {}", options_.percentile);
      case RangeMethod::kMse:
        return "mse";
    }
    return "";
  }

  const ModelFiles files_;
  const tensorflow::GraphDef graph_;
  const CalibrateOptions& options_;
  const StepLog& log_;
  engine::PlanOptions plan_options_;
  std::vector<QuantizableOp> ops_;
  std::vector<Tensor> images_;
  std::vector<std::string> values_;  // the inputs of ops_, each once
  Runner value_runner_;
  std::vector<std::vector<float>> logits_;  // of float32, by image
  Calibration calibration_;
};

}  // namespace

absl::StatusOr<Calibrated> Calibrate(const std::filesystem::path& version_directory,
                                     std::span<const ImageInput> images,
                                     const CalibrateOptions& options,
                                     const StepLog& log) {
  // One that is there already may be of another graph: it is to be replaced.
  ASSIGN_OR_RETURN(ModelFiles files,
                   ReadModelFiles(version_directory, {.calibration = false}));
  ASSIGN_OR_RETURN(tensorflow::GraphDef graph,
                   graph::ParseGraphDef(files.graph->bytes(),
                                        (version_directory / kGraphFile).string()));
  files.graph = nullptr;
  if (images.empty()) return InvalidArgument("no images to calibrate with");
  return Calibrator(std::move(files), std::move(graph), options, log).Run(images);
}

}  // namespace oriel::model
