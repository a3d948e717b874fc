#include "model/graph_classifier.h"

#include "graph/ends.h"
#include "labels/labels.h"
#include "model/model_graph.h"
#include "model/top_k.h"

namespace oriel::model {
namespace {

class Classifier : public GraphClassifier {
 public:
  Classifier(std::unique_ptr<ModelGraph> graph, std::string file)
      : graph_(std::move(graph)), file_(std::move(file)) {}

  absl::Status Compile(const GraphClassifierOptions& options) {
    const graph::GraphEnds ends = graph::FindEnds(graph_->graph());
    const std::vector<std::string> strings = engine::StringInputs(graph_->graph());
    if (strings.size() != 1 || ends.inputs != strings) {
      return InvalidArgument(
          "{}: takes {}, want one string, the bytes of an image; other graphs need a "
          "model directory ('oriel export')",
          file_,
          ends.inputs.empty() ? "nothing"
                              : fmt::format("{}", fmt::join(ends.inputs, ", ")));
    }
    if (ends.outputs.size() != 1) {
      return InvalidArgument(
          "{}: has {} outputs ({}), want one; 'oriel optimize-for-inference' leaves "
          "those that it is told",
          file_, ends.outputs.size(), fmt::join(ends.outputs, ", "));
    }
    engine::PlanOptions plan;
    graph_->SetUp(plan);
    plan.backend = options.backend;
    plan.precision = options.precision;
    plan.threads = options.threads;
    const std::string& input = strings[0];
    ASSIGN_OR_RETURN(shape_, engine::StringInputShape(graph_->graph(), input));
    plan.inputs = {{input, shape_}};
    plan.outputs = ends.outputs;
    auto created = engine::DynamicPlan::Create(graph_->graph(), plan);
    if (!created.ok()) return Annotate(created.status(), file_);
    plan_ = *std::move(created);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<ScoredLabel>> Classify(Bytes image, int k) override {
    Tensor input(DType::kString, shape_);
    input.mutable_strings()[0] = std::string(AsStringView(image));
    ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, plan_->Run({input}));
    const Tensor& scores = outputs[0];
    if (scores.dtype() != DType::kFloat32 || scores.shape().rank() < 1 ||
        scores.elements() != scores.shape().dim(-1)) {
      return InvalidArgument("{}: the output is {}{}, want one row of float32 scores",
                             file_, DTypeName(scores.dtype()), scores.shape().ToString());
    }
    return Label(scores.data<float>(), k);
  }

 private:
  static std::vector<ScoredLabel> Label(std::span<const float> scores, int k) {
    const bool imagenet = scores.size() == 1000 || scores.size() == 1001;
    const bool background = scores.size() == 1001;
    std::vector<ScoredLabel> labels;
    for (const int index : TopIndices(scores, k)) {
      ScoredLabel& label = labels.emplace_back();
      label.index = index;
      label.probability = scores[index];
      label.label = imagenet ? labels::ImagenetDescriptions(background)[index]
                             : fmt::format("class {}", index);
      if (imagenet) label.wnid = labels::ImagenetWnids(background)[index];
    }
    return labels;
  }

  std::unique_ptr<ModelGraph> graph_;
  std::string file_;
  Shape shape_;  // of the string
  std::unique_ptr<engine::DynamicPlan> plan_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GraphClassifier>> GraphClassifier::Open(
    const std::filesystem::path& graph, const GraphClassifierOptions& options) {
  if (options.precision == engine::Precision::kInt8 ||
      options.precision == engine::Precision::kAuto) {
    return FailedPrecondition(
        "{}: precision {} needs a model directory with a calibration", graph.string(),
        PrecisionName(options.precision));
  }
  ASSIGN_OR_RETURN(auto opened, ModelGraph::OpenFile(graph, /*text=*/false));
  auto classifier = std::make_unique<Classifier>(std::move(opened), graph.string());
  RETURN_IF_ERROR(classifier->Compile(options));
  return classifier;
}

}  // namespace oriel::model
