// What this machine can compute at most, to hold measurements against.
#pragma once

#include <chrono>

namespace oriel::engine {

// Float32 operations per second (a multiply-add is two) of `threads` threads that do
// nothing but fused multiply-adds in registers, with the widest vectors that MaxIsa()
// allows; the best of several rounds within about `duration`. On CPUs other than x86-64
// with AVX2 what the compiler makes of the same loop.
double MeasurePeakF32(int threads, std::chrono::milliseconds duration);

}  // namespace oriel::engine
