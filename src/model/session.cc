#include "model/session.h"

#include <algorithm>
#include <functional>
#include <map>

#include "model/model_directory.h"
#include "model/model_graph.h"
#include "model/preprocessor.h"
#include "model/top_k.h"

namespace oriel::model {
namespace {

// Plans by batch size, largest first: max_batch, and the powers of two below it.
using Plans = std::map<int, std::shared_ptr<const engine::Plan>, std::greater<>>;

class PlanSession;

// Runs a batch in pieces for which there are plans, so that no work is spent on
// padding: on a CPU the time goes with the number of images.
class PlanRunner : public Session::Runner {
 public:
  explicit PlanRunner(std::shared_ptr<const PlanSession> session);
  absl::Status Run(std::span<const float> images, int n,
                   std::span<float> probabilities) override;

 private:
  // Scratch of one plan, made when it is first used.
  struct Lane {
    const engine::Plan* plan;
    std::unique_ptr<engine::ExecutionContext> context;
    std::vector<Tensor> inputs;
    std::vector<Tensor> outputs;
  };
  static Lane MakeLane(const engine::Plan& plan);

  std::shared_ptr<const PlanSession> session_;
  std::map<int, Lane, std::greater<>> lanes_;
};

class PlanSession : public Session {
 public:
  PlanSession(ModelDirectory directory, ModelFiles files, SessionOptions options,
              engine::PrecisionChoice precision, Preprocessor preprocessor,
              std::unique_ptr<const ModelGraph> graph, Plans plans)
      : directory_(std::move(directory)),
        files_(std::move(files)),
        options_(options),
        precision_(std::move(precision)),
        preprocessor_(preprocessor),
        graph_(std::move(graph)),
        plans_(std::move(plans)) {}

  const ModelConfig& config() const override { return files_.config; }
  const SessionOptions& options() const override { return options_; }
  const engine::PrecisionChoice& precision() const override { return precision_; }
  std::string plan_cache_report() const override { return graph_->cache_report(); }
  absl::Status SavePlanCache() const override { return graph_->SaveCache(); }
  const std::string& name() const override { return directory_.name; }
  const std::string& version() const override { return directory_.version; }
  int num_classes() const override { return files_.config.num_classes; }
  size_t image_elements() const override { return preprocessor_.elements(); }
  const Plans& plans() const { return plans_; }

  absl::Status Preprocess(Bytes bytes, bool honor_exif,
                          std::span<float> dst) const override {
    return preprocessor_.Run(bytes, honor_exif, dst);
  }

  absl::StatusOr<std::unique_ptr<Runner>> NewRunner() const override {
    return std::make_unique<PlanRunner>(
        std::static_pointer_cast<const PlanSession>(shared_from_this()));
  }

  std::vector<ScoredLabel> TopK(std::span<const float> probabilities,
                                int k) const override {
    std::vector<ScoredLabel> top;
    for (const int index : TopIndices(probabilities, k)) {
      top.push_back({index, files_.wnids.empty() ? "" : files_.wnids[index],
                     files_.descriptions[index], probabilities[index]});
    }
    return top;
  }

 private:
  const ModelDirectory directory_;
  const ModelFiles files_;
  const SessionOptions options_;
  const engine::PrecisionChoice precision_;
  const Preprocessor preprocessor_;
  const std::unique_ptr<const ModelGraph> graph_;
  const Plans plans_;
};

PlanRunner::PlanRunner(std::shared_ptr<const PlanSession> session)
    : session_(std::move(session)) {}

PlanRunner::Lane PlanRunner::MakeLane(const engine::Plan& plan) {
  return {&plan, plan.NewContext(), engine::MakeTensors(plan.inputs()),
          engine::MakeTensors(plan.outputs())};
}

absl::Status PlanRunner::Run(std::span<const float> images, int n,
                             std::span<float> probabilities) {
  const size_t elements = session_->image_elements();
  const size_t classes = static_cast<size_t>(session_->num_classes());
  if (n < 1 || n > session_->options().max_batch || images.size() != n * elements ||
      probabilities.size() != n * classes) {
    return InvalidArgument("batch of {} images: {} floats in, {} out; the limit is {}", n,
                           images.size(), probabilities.size(),
                           session_->options().max_batch);
  }
  for (int done = 0; done < n;) {
    // The plan for one image always fits.
    const auto plan = session_->plans().lower_bound(n - done);
    const int size = plan->first;
    auto lane = lanes_.find(size);
    if (lane == lanes_.end()) lane = lanes_.emplace(size, MakeLane(*plan->second)).first;
    const auto source = images.subspan(done * elements, size * elements);
    std::copy(source.begin(), source.end(),
              lane->second.inputs[0].mutable_data<float>().begin());
    RETURN_IF_ERROR(lane->second.plan->Run(*lane->second.context, lane->second.inputs,
                                           lane->second.outputs));
    const auto result = lane->second.outputs[0].data<float>();
    std::copy(result.begin(), result.end(), probabilities.begin() + done * classes);
    done += size;
  }
  return absl::OkStatus();
}

absl::StatusOr<Plans> CompilePlans(const ModelFiles& files, const ModelGraph& graph,
                                   const SessionOptions& options,
                                   engine::Precision precision, std::string_view what) {
  const ModelConfig& config = files.config;
  engine::PlanOptions plan_options;
  plan_options.backend = options.backend;
  plan_options.precision = precision;
  plan_options.calibration = files.calibration;
  plan_options.outputs = {config.predictions};
  plan_options.threads = options.threads;
  graph.SetUp(plan_options);
  Plans plans;
  for (int size = 1;; size = std::min(size * 2, options.max_batch)) {
    plan_options.inputs = {{config.input, Shape({size, config.height, config.width, 3})}};
    auto plan = engine::Plan::Compile(graph.graph(), plan_options);
    if (!plan.ok()) return Annotate(plan.status(), what);
    const engine::TensorSpec& output = (*plan)->outputs()[0];
    if (output.dtype != DType::kFloat32 ||
        output.shape != Shape({size, config.num_classes})) {
      return InvalidArgument("{}: {} is {} {}, want float32 {}", what, config.predictions,
                             DTypeName(output.dtype), output.shape.ToString(),
                             Shape({size, config.num_classes}).ToString());
    }
    plans.emplace(size, *std::move(plan));
    if (size == options.max_batch) return plans;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Session>> Session::Open(
    const std::filesystem::path& version_directory, const SessionOptions& options) {
  if (options.max_batch < 1) {
    return InvalidArgument("batch size {}, want 1 or more", options.max_batch);
  }
  ASSIGN_OR_RETURN(ModelFiles files, ReadModelFiles(version_directory, {.graph = false}));
  ASSIGN_OR_RETURN(const Preprocessor preprocessor,
                   Preprocessor::Create(files.config, options.max_pixels));
  engine::PrecisionChoice precision = {options.precision, ""};
  if (options.precision == engine::Precision::kAuto) {
    precision = engine::ChoosePrecision(files.calibration.get());
  }
  ASSIGN_OR_RETURN(auto graph,
                   ModelGraph::Open(version_directory, files.config, precision.precision,
                                    options.backend, options.plan_cache));
  ASSIGN_OR_RETURN(Plans plans, CompilePlans(files, *graph, options, precision.precision,
                                             (version_directory / kGraphFile).string()));
  return std::make_shared<const PlanSession>(
      DescribeDirectory(version_directory), std::move(files), options,
      std::move(precision), preprocessor, std::move(graph), std::move(plans));
}

}  // namespace oriel::model
