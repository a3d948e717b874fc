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
  const auto end_all = [&] {
    stop();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  };
  try {
    for (int i = first; i < end; ++i) threads.emplace_back([work, i] { work(i); });
  } catch (const std::system_error& error) {
    end_all();
    throw std::system_error(error.code(),
                            fmt::format("cannot start {} threads", end - first));
  } catch (...) {
    end_all();
    throw;
  }
}

}  // namespace oriel
