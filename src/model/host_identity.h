// Which build of the program this is, and which CPU.
#pragma once

#include <string>

namespace oriel::model {

// The build ID that the linker gave the running program, a hash of all that is in it,
// in hex; "" where it gave none. Costs microseconds.
std::string BuildId();

// As the CPU calls itself, "AMD EPYC 7763 64-Core Processor"; where it has no name, the
// number of its kind, or "".
std::string CpuModel();

}  // namespace oriel::model
