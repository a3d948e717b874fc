// What CLI11's validators let through.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>

namespace oriel::cli {

// As CLI::Range of fractions, which takes "nan" for a number in any range.
inline CLI::Validator FiniteRange(double low, double high) {
  return {[low, high](std::string& text) {
            double value = 0;
            if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) {
              return std::string();
            }
            return fmt::format("Value {} not in range [{} - {}]", text, low, high);
          },
          fmt::format("FLOAT in [{} - {}]", low, high), "FiniteRange"};
}

}  // namespace oriel::cli
