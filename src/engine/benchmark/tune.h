// Finds the fastest kernels for a plan on this machine by trying them where they will
// run: in the plan, after the step before them, with the network's own weights.
#pragma once

#include <functional>

#include "engine/plan.h"

namespace oriel::engine {

struct TuneOptions {
  // What is tuned; `choices`, not null, is where the search begins and what it changes.
  PlanOptions plan;
  int runs = 7;        // of both plans in a round
  double gain = 0.03;  // the part of a kernel's time that another one has to save
  // Called before each round.
  std::function<void(int round, int rounds)> progress;
};

struct TuneResult {
  int choices = 0;  // different convolutions that had one
  int changed = 0;  // now other than before
  // Of a run, medians, the two plans in turns.
  double seconds_before = 0;
  double seconds_after = 0;
};

// Each round runs the best plan so far and one with another candidate for each
// convolution in turns, and keeps those candidates that were faster. Where the plan may
// use Winograd's algorithm, a round counts only if its outputs, for random inputs, agree
// with those of direct sums within kRmsBound and kMaxBound. In the end all that was kept
// has to make the whole plan faster, or it is taken back. kCancelled at Ctrl-C, the
// choices then being those found so far.
absl::StatusOr<TuneResult> Tune(const tensorflow::GraphDef& graph,
                                const TuneOptions& options);

// Of differences, in standard deviations of the exact output.
constexpr double kRmsBound = 5e-4;
constexpr double kMaxBound = 5e-3;

}  // namespace oriel::engine
