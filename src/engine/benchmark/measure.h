// Timing a plan: how long a run takes, how many runs a second fit, where the time
// goes.
#pragma once

#include <chrono>
#include <span>
#include <vector>

#include "engine/plan.h"

namespace oriel::engine {

// Numbers from N(0, 1) by a fixed seed for floats, zeros for other types: kernels
// take the same time for any ordinary values.
std::vector<Tensor> RandomInputs(const Plan& plan);

struct LoadOptions {
  int streams = 1;  // contexts that run at once, each on its own thread
  bool pin = true;  // each stream to CPUs of its own (ScopedCpuShare)
  std::chrono::milliseconds warmup{500};
  std::chrono::milliseconds duration{3000};
};

struct LoadResult {
  std::vector<double> latencies;  // seconds of each run, ascending; at least one a stream
  double seconds = 0;  // from the first measured run's begin to the last one's end

  double runs_per_second() const {
    return static_cast<double>(latencies.size()) / seconds;
  }
};

// Each stream runs the plan again and again, without a pause. The first error of any
// stream ends it; Ctrl-C is kCancelled.
absl::StatusOr<LoadResult> MeasureLoad(const Plan& plan, std::span<const Tensor> inputs,
                                       const LoadOptions& options);

// Median seconds of each of plan.steps() over runs for about `duration`, at least
// three, in one stream.
absl::StatusOr<std::vector<double>> MeasureSteps(const Plan& plan,
                                                 std::span<const Tensor> inputs,
                                                 std::chrono::milliseconds duration);

// The smallest value that at least the fraction `p` of them does not exceed (nearest
// rank). `ascending` is not empty; 0 < p <= 1.
double Quantile(std::span<const double> ascending, double p);

}  // namespace oriel::engine
