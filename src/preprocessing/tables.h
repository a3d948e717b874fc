// Tables of testdata/preproc: lines of fields separated by tabs. Only for tests.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "base/testing.h"

namespace oriel::preprocessing {

inline std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

inline std::vector<std::vector<std::string>> ReadTable(const std::string& name) {
  std::ifstream file(TestData("preproc/" + name));
  std::vector<std::vector<std::string>> table;
  std::string line;
  while (std::getline(file, line)) table.push_back(Split(line, '\t'));
  return table;
}

}  // namespace oriel::preprocessing
