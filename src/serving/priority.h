// How urgent a request is.
#pragma once

namespace oriel::serving {

// Of waiting images the most urgent go first, and of equals those that came first.
inline constexpr int kFirstPriority = 1, kDefaultPriority = 5, kLastPriority = 10;

}  // namespace oriel::serving
