#include "engine/benchmark/peak.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/threads.h"
#include "engine/kernels/isa.h"

namespace oriel::engine {
namespace {

using Clock = std::chrono::steady_clock;

// Independent chains: more than a multiply-add has latency times issue slots (4 x 2
// on today's CPUs), few enough for the registers.
constexpr int kChains = 12;

struct Loop {
  void (*run)(int64_t rounds);  // kChains multiply-adds of `floats` floats a round
  int floats;
};

#if defined(__x86_64__)
// By hand, as a compiler would move what nobody reads.
#define ORIEL_FMA(v, d) "vfmadd231ps %%" v "0, %%" v "1, %%" v #d "\n"
#define ORIEL_FMA_LOOP(Name, v)                                                           \
  void Name(int64_t rounds) {                                                             \
    asm volatile(                                                                       \
        "vxorps %%xmm0, %%xmm0, %%xmm0\n"                                               \
        "vxorps %%xmm1, %%xmm1, %%xmm1\n"                                               \
        "1:\n" ORIEL_FMA(v, 2) ORIEL_FMA(v, 3) ORIEL_FMA(v, 4) ORIEL_FMA(v, 5)          \
            ORIEL_FMA(v, 6) ORIEL_FMA(v, 7) ORIEL_FMA(v, 8) ORIEL_FMA(v, 9)             \
                ORIEL_FMA(v, 10) ORIEL_FMA(v, 11) ORIEL_FMA(v, 12) ORIEL_FMA(v, 13)     \
        "dec %0\n"                                                                      \
        "jnz 1b\n"                                                                      \
        "vzeroupper\n"                                                                  \
        : "+r"(rounds)                                                                  \
        :                                                                               \
        : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
          "xmm9", "xmm10", "xmm11", "xmm12", "xmm13"); \
  }
ORIEL_FMA_LOOP(RunAvx2, "ymm")
ORIEL_FMA_LOOP(RunAvx512, "zmm")
#undef ORIEL_FMA_LOOP
#undef ORIEL_FMA
#endif

// What the compiler makes of it.
void RunPortable(int64_t rounds) {
  constexpr int kFloats = 4;
  float sums[kChains * kFloats] = {};
  volatile float zero = 0;
  const float a = zero, b = zero;
  for (; rounds > 0; --rounds) {
    for (float& sum : sums) sum = __builtin_fmaf(a, b, sum);
  }
  volatile float sink = 0;
  for (const float sum : sums) sink = sink + sum;
}

Loop FindLoop() {
#if defined(__x86_64__)
  if (MaxIsa() >= Isa::kAvx512) return {RunAvx512, 16};
  if (MaxIsa() >= Isa::kAvx2) return {RunAvx2, 8};
#endif
  return {RunPortable, 4};
}

// Operations per second of all threads together, over one round.
double MeasureOnce(const Loop& loop, int threads, int64_t rounds) {
  std::atomic<int> ready{0};
  std::atomic<bool> refused{false};
  std::vector<std::thread> workers;
  std::vector<Clock::duration> times(threads);
  const auto work = [&](int i) {
    ++ready;
    while (ready < threads && !refused) std::this_thread::yield();
    if (refused) return;
    const auto begin = Clock::now();
    loop.run(rounds);
    times[i] = Clock::now() - begin;
  };
  StartThreads(workers, 0, threads, work, [&] { refused = true; });
  for (std::thread& worker : workers) worker.join();
  const std::chrono::duration<double> slowest =
      *std::max_element(times.begin(), times.end());
  const double operations = 2.0 * kChains * loop.floats * threads;
  return operations * static_cast<double>(rounds) / std::max(slowest.count(), 1e-9);
}

}  // namespace

double MeasurePeakF32(int threads, std::chrono::milliseconds duration) {
  const Loop loop = FindLoop();
  constexpr int kRepeats = 5;
  const auto end = Clock::now() + duration;
  int64_t rounds = 10000;
  double best = 0;
  // Rounds grow until one takes its share of the time.
  for (int repeat = 0; repeat < kRepeats || Clock::now() < end;) {
    const auto begin = Clock::now();
    best = std::max(best, MeasureOnce(loop, threads, rounds));
    if (Clock::now() - begin < duration / (2 * kRepeats)) {
      rounds *= 2;
    } else {
      ++repeat;
    }
  }
  return best;
}

}  // namespace oriel::engine
