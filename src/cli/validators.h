// What CLI11's validators let through.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
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

// For options of uint64_t, whose text CLI11 takes modulo 2^64.
inline CLI::Validator WholeNumber() {
  return {[](std::string& text) {
            uint64_t value = 0;
            const char* const end = text.data() + text.size();
            const auto [next, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && next == end) return std::string();
            return fmt::format("Value {} is no whole number from 0 to 2^64 - 1", text);
          },
          "", "WholeNumber"};
}

}  // namespace oriel::cli
