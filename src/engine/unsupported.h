// What of a graph cannot be run, told all at once.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace oriel::engine {

class UnsupportedList {
 public:
  // `what` cannot be run, and node `name` is that.
  void Add(const std::string& what, const std::string& name) {
    const auto [it, is_new] = index_.emplace(what, entries_.size());
    if (is_new) entries_.push_back({what, name, 0});
    ++entries_[it->second].count;
  }

  bool empty() const { return entries_.empty(); }

  // kUnimplemented: each once, with the number of its nodes and the first of them.
  absl::Status Error() const {
    std::vector<std::string> lines;
    for (const auto& [what, name, count] : entries_) {
      lines.push_back(count == 1
                          ? fmt::format("{} (node '{}')", what, name)
                          : fmt::format("{} ({} nodes, '{}' first)", what, count, name));
    }
    return Unimplemented("the engine does not support: {}", fmt::join(lines, "; "));
  }

 private:
  struct Entry {
    std::string what, name;
    int count;
  };
  std::vector<Entry> entries_;
  std::map<std::string, size_t> index_;  // by what
};

}  // namespace oriel::engine
