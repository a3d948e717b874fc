#include "engine/benchmark/measure.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <latch>
#include <random>
#include <thread>

#include "base/cpus.h"
#include "base/interrupt.h"
#include "base/threads.h"

namespace oriel::engine {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// What one stream measured.
struct Stream {
  std::unique_ptr<ExecutionContext> context;
  std::vector<Tensor> outputs;
  std::vector<double> latencies;
  Clock::time_point begin;
  Clock::time_point end;
  absl::Status status;
};

}  // namespace

std::vector<Tensor> RandomInputs(const Plan& plan) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs = MakeTensors(plan.inputs());
  for (Tensor& input : inputs) {
    if (input.dtype() != DType::kFloat32) continue;
    for (float& value : input.mutable_data<float>()) value = normal(random);
  }
  return inputs;
}

absl::StatusOr<LoadResult> MeasureLoad(const Plan& plan, std::span<const Tensor> inputs,
                                       const LoadOptions& options) {
  std::atomic<bool> stop{false};
  std::barrier start(options.streams);
  std::latch all_there(1);
  std::vector<Stream> streams(options.streams);
  const auto share_of = [&](int index) {
    return ScopedCpuShare(index, options.pin ? options.streams : 1);
  };
  // All that may run out is taken here, where the caller hears of it.
  for (int i = 0; i < options.streams; ++i) {
    const ScopedCpuShare cpus = share_of(i);  // of the threads of the context, too
    streams[i].context = plan.NewContext();
    streams[i].outputs = MakeTensors(plan.outputs());
  }
  bool refused = false;
  const auto work = [&](int index) {
    all_there.wait();
    if (refused) return;
    Stream& stream = streams[index];
    const ScopedCpuShare cpus = share_of(index);
    const auto run = [&] {
      absl::Status status = plan.Run(*stream.context, inputs, stream.outputs);
      if (status.ok()) status = CheckInterrupted();
      if (!status.ok()) stop = true;
      stream.status.Update(status);
    };
    const auto warm = Clock::now() + options.warmup;
    do run();
    while (!stop && Clock::now() < warm);
    start.arrive_and_wait();
    stream.begin = stream.end = Clock::now();
    while (!stop &&
           (stream.latencies.empty() || stream.end - stream.begin < options.duration)) {
      const auto begin = stream.end;
      run();
      stream.end = Clock::now();
      stream.latencies.push_back(Seconds(stream.end - begin));
    }
  };
  std::vector<std::thread> threads;
  StartThreads(threads, 1, options.streams, work, [&] {
    refused = true;
    all_there.count_down();
  });
  all_there.count_down();
  work(0);
  for (std::thread& thread : threads) thread.join();

  LoadResult result;
  Clock::time_point begin = streams[0].begin, end = streams[0].end;
  for (const Stream& stream : streams) {
    RETURN_IF_ERROR(stream.status);
    begin = std::min(begin, stream.begin);
    end = std::max(end, stream.end);
    result.latencies.insert(result.latencies.end(), stream.latencies.begin(),
                            stream.latencies.end());
  }
  std::sort(result.latencies.begin(), result.latencies.end());
  result.seconds = Seconds(end - begin);
  return result;
}

absl::StatusOr<std::vector<double>> MeasureSteps(const Plan& plan,
                                                 std::span<const Tensor> inputs,
                                                 std::chrono::milliseconds duration) {
  constexpr int kLeastRuns = 3;
  const auto context = plan.NewContext();
  std::vector<Tensor> outputs = MakeTensors(plan.outputs());
  std::vector<std::chrono::nanoseconds> times(plan.steps().size());
  std::vector<std::vector<double>> seconds(times.size());
  RETURN_IF_ERROR(plan.Run(*context, inputs, outputs));
  const auto end = Clock::now() + duration;
  for (int run = 0; run < kLeastRuns || Clock::now() < end; ++run) {
    RETURN_IF_ERROR(CheckInterrupted());
    RETURN_IF_ERROR(plan.RunTimed(*context, inputs, outputs, times));
    for (size_t i = 0; i < times.size(); ++i) seconds[i].push_back(Seconds(times[i]));
  }
  std::vector<double> medians;
  for (std::vector<double>& step : seconds) {
    std::sort(step.begin(), step.end());
    medians.push_back(Quantile(step, 0.5));
  }
  return medians;
}

double Quantile(std::span<const double> ascending, double p) {
  const double rank = std::ceil(p * static_cast<double>(ascending.size()));
  const auto index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return ascending[std::min(index, ascending.size() - 1)];
}

}  // namespace oriel::engine
