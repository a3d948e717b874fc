// Operations that only compute.
#pragma once

#include <string_view>

namespace oriel::graph {

// The operation has no state, no effect and no chance in it, and is no part of control
// flow: whether and when it runs is seen by nobody but those who read it. False for
// every operation that is not in the table.
bool IsPure(std::string_view op);

}  // namespace oriel::graph
