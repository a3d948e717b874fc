#include "engine/benchmark/tune.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "base/interrupt.h"
#include "engine/benchmark/measure.h"

namespace oriel::engine {
namespace {

using Clock = std::chrono::steady_clock;

// A plan that is run several times.
class Trial {
 public:
  static absl::StatusOr<Trial> Make(const tensorflow::GraphDef& graph,
                                    PlanOptions options,
                                    std::shared_ptr<Choices> choices) {
    options.choices = std::move(choices);
    options.weights = nullptr;  // what is tried and not kept goes with the plan
    Trial trial;
    ASSIGN_OR_RETURN(trial.plan_, Plan::Compile(graph, options));
    trial.context_ = trial.plan_->NewContext();
    trial.outputs_ = MakeTensors(trial.plan_->outputs());
    trial.times_.resize(trial.plan_->steps().size());
    return trial;
  }

  const Plan& plan() const { return *plan_; }
  const std::vector<Tensor>& outputs() const { return outputs_; }
  const std::vector<double>& seconds() const { return seconds_; }
  // By key of a choice, seconds of all steps that have it, run by run.
  const std::map<std::string, std::vector<double>>& by_key() const { return by_key_; }

  // The first run is not counted.
  absl::Status Run(std::span<const Tensor> inputs, bool counted) {
    RETURN_IF_ERROR(CheckInterrupted());
    const auto begin = Clock::now();
    RETURN_IF_ERROR(plan_->RunTimed(*context_, inputs, outputs_, times_));
    if (!counted) return absl::OkStatus();
    const std::chrono::duration<double> elapsed = Clock::now() - begin;
    const size_t run = seconds_.size();
    seconds_.push_back(elapsed.count());
    for (size_t i = 0; i < times_.size(); ++i) {
      const Choice& choice = plan_->steps()[i].choice;
      if (choice.key.empty()) continue;
      std::vector<double>& runs = by_key_[choice.key];
      runs.resize(run + 1);
      runs[run] += std::chrono::duration<double>(times_[i]).count();
    }
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<const Plan> plan_;
  std::unique_ptr<ExecutionContext> context_;
  std::vector<Tensor> outputs_;
  std::vector<std::chrono::nanoseconds> times_;
  std::vector<double> seconds_;
  std::map<std::string, std::vector<double>> by_key_;
};

absl::Status RunInTurns(std::span<const Tensor> inputs, int runs, Trial& a, Trial& b) {
  for (int run = 0; run <= runs; ++run) {
    RETURN_IF_ERROR(a.Run(inputs, run > 0));
    RETURN_IF_ERROR(b.Run(inputs, run > 0));
  }
  return absl::OkStatus();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return Quantile(values, 0.5);
}

// Whether b takes less of a's time by the part `gain`, compared run by run: in the
// middle, and hardly ever more.
bool IsFaster(const std::vector<double>& a, const std::vector<double>& b, double gain) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) ratios.push_back(b[i] / a[i]);
  std::sort(ratios.begin(), ratios.end());
  return Quantile(ratios, 0.5) <= 1 - gain && Quantile(ratios, 0.8) <= 1;
}

bool Agree(const Tensor& exact, const Tensor& other) {
  if (exact.dtype() != DType::kFloat32) return true;
  const std::span<const float> x = exact.data<float>(), y = other.data<float>();
  const auto size = static_cast<double>(x.size());
  double sum = 0, squares = 0, errors = 0, worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = std::abs(double{y[i]} - x[i]);
    sum += x[i];
    squares += double{x[i]} * x[i];
    errors += error * error;
    worst = std::max(worst, error);
    if (std::isnan(error)) return false;
  }
  const double deviation =
      std::sqrt(std::max(squares / size - sum / size * (sum / size), 0.0));
  return std::sqrt(errors / size) <= kRmsBound * deviation &&
         worst <= kMaxBound * deviation;
}

bool Agree(std::span<const Tensor> exact, std::span<const Tensor> others) {
  for (size_t i = 0; i < exact.size(); ++i) {
    if (!Agree(exact[i], others[i])) return false;
  }
  return true;
}

// What direct sums give; empty where the plan has no use for it.
absl::StatusOr<std::vector<Tensor>> ExactOutputs(const tensorflow::GraphDef& graph,
                                                 const PlanOptions& options,
                                                 std::span<const Tensor> inputs) {
  if (options.precision != Precision::kF32) return std::vector<Tensor>();
  PlanOptions exact = options;
  exact.precision = Precision::kF32Exact;
  ASSIGN_OR_RETURN(Trial trial, Trial::Make(graph, exact, nullptr));
  RETURN_IF_ERROR(trial.Run(inputs, /*counted=*/false));
  return trial.outputs();
}

// The search: what is tried goes into the plan's choices.
class Tuner {
 public:
  Tuner(const tensorflow::GraphDef& graph, const TuneOptions& options)
      : graph_(graph),
        options_(options),
        choices_(*options.plan.choices),
        before_(Copy()) {}

  absl::StatusOr<TuneResult> Run() {
    RETURN_IF_ERROR(Prepare());
    const absl::Status status = Search();
    const absl::StatusOr<bool> kept = status.ok() ? IsBetter() : status;
    // What the whole plan does not vouch for is taken back.
    for (const auto& [key, choice] : open_) {
      const Choice& was = at_first_.at(key);
      if (choice.chosen == was.chosen) continue;
      if (kept.ok() && *kept) {
        ++result_.changed;
      } else {
        choices_.Insert(key, was.candidates[was.chosen]);
      }
    }
    RETURN_IF_ERROR(kept.status());
    if (!*kept) result_.seconds_after = result_.seconds_before;
    return result_;
  }

 private:
  std::shared_ptr<Choices> Copy() const {
    return std::make_shared<Choices>(choices_.entries());
  }

  absl::Status Prepare() {
    ASSIGN_OR_RETURN(const Trial trial, Trial::Make(graph_, options_.plan, before_));
    inputs_ = RandomInputs(trial.plan());
    for (const StepInfo& step : trial.plan().steps()) {
      if (step.choice.candidates.size() < 2) continue;
      open_.emplace(step.choice.key, step.choice);
      rounds_ = std::max(rounds_, step.choice.candidates.size());
    }
    at_first_ = open_;
    result_.choices = static_cast<int>(open_.size());
    ASSIGN_OR_RETURN(exact_, ExactOutputs(graph_, options_.plan, inputs_));
    return absl::OkStatus();
  }

  absl::Status Search() {
    for (size_t round = 0; round < rounds_; ++round) {
      if (options_.progress) {
        options_.progress(static_cast<int>(round) + 1, static_cast<int>(rounds_));
      }
      RETURN_IF_ERROR(TryRound(round));
    }
    return absl::OkStatus();
  }

  // Each convolution's candidate of this number, all in one plan.
  absl::Status TryRound(size_t round) {
    const std::shared_ptr<Choices> trying = Copy();
    std::vector<Choice*> tried;
    for (auto& [key, choice] : open_) {
      if (round >= choice.candidates.size() || round == choice.chosen) continue;
      trying->Insert(key, choice.candidates[round]);
      tried.push_back(&choice);
    }
    if (tried.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(Trial best, Trial::Make(graph_, options_.plan, Copy()));
    ASSIGN_OR_RETURN(Trial other, Trial::Make(graph_, options_.plan, trying));
    RETURN_IF_ERROR(RunInTurns(inputs_, options_.runs, best, other));
    if (!Agree(exact_, other.outputs())) return absl::OkStatus();
    for (Choice* const choice : tried) {
      if (IsFaster(best.by_key().at(choice->key), other.by_key().at(choice->key),
                   options_.gain)) {
        choice->chosen = round;
        choices_.Insert(choice->key, choice->candidates[round]);
      }
    }
    return absl::OkStatus();
  }

  // Whether the plan with all that was kept, which no round ran together, is faster than
  // the one before, and as right.
  absl::StatusOr<bool> IsBetter() {
    ASSIGN_OR_RETURN(Trial first, Trial::Make(graph_, options_.plan, before_));
    ASSIGN_OR_RETURN(Trial last, Trial::Make(graph_, options_.plan, Copy()));
    RETURN_IF_ERROR(RunInTurns(inputs_, 2 * options_.runs, first, last));
    result_.seconds_before = Median(first.seconds());
    result_.seconds_after = Median(last.seconds());
    return Agree(exact_, last.outputs()) &&
           result_.seconds_after < result_.seconds_before &&
           IsFaster(first.seconds(), last.seconds(), /*gain=*/0);
  }

  const tensorflow::GraphDef& graph_;
  const TuneOptions& options_;
  Choices& choices_;
  const std::shared_ptr<Choices> before_;
  std::vector<Tensor> inputs_, exact_;
  std::map<std::string, Choice> open_;  // `chosen` is the best so far
  std::map<std::string, Choice> at_first_;
  size_t rounds_ = 0;
  TuneResult result_;
};

}  // namespace

absl::StatusOr<TuneResult> Tune(const tensorflow::GraphDef& graph,
                                const TuneOptions& options) {
  return Tuner(graph, options).Run();
}

}  // namespace oriel::engine
