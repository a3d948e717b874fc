// Columns for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace oriel::cli {

// Columns as wide as their widest cell, two spaces apart.
class Table {
 public:
  // For each column: whether cells are numbers, which end at its right side.
  explicit Table(std::vector<bool> right) : right_(std::move(right)) {}
  // As many cells as there are columns; what a terminal would obey is replaced.
  void Add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  void Print() const;  // to stdout

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// 1234567 as "1,234,567".
std::string Grouped(int64_t number);

}  // namespace oriel::cli
