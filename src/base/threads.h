// Starting several threads, of which the system may refuse some.
#pragma once

#include <fmt/format.h>

#include <system_error>
#include <thread>
#include <vector>

namespace oriel {

// Adds threads that call work(i) for each i from `first` to `end` - 1. Where the system
// refuses one (a limit on processes), calls stop(), after which those that run must end
// by themselves, joins them and throws std::system_error.
template <typename Work, typename Stop>
void StartThreads(std::vector<std::thread>& threads, int first, int end, const Work& work,
                  const Stop& stop) {
  int next = first;
  try {
    for (; next < end; ++next) {
      threads.emplace_back([work, next] { work(next); });
    }
  } catch (const std::system_error& error) {
    stop();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    throw std::system_error(error.code(),
                            fmt::format("cannot start {} threads", end - first));
  } catch (...) {
    stop();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    throw;
  }
}

}  // namespace oriel
