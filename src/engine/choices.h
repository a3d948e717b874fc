// What was found fastest on this machine, as text by text: what a tuner would
// otherwise have to measure at each start. Kept in the plan cache.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace oriel::engine {

// The key says all that the choice depends on but the machine, its instructions, the
// precision and the program, which the cache is of: the shape, the number of threads,
// the candidates' version where they change. Thread-safe.
class Choices {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;

  Choices() = default;
  explicit Choices(Entries entries);

  std::optional<std::string> Find(std::string_view key) const;
  // Takes the place of what is there under the key.
  void Insert(std::string key, std::string value);

  Entries entries() const;
  // Something was inserted that was not there.
  bool changed() const;

 private:
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
};

// How one kernel was chosen among several.
struct Choice {
  std::string key;                      // into Choices; empty: there was no choice
  std::vector<std::string> candidates;  // the one that ought to be fastest first
  size_t chosen = 0;
};

}  // namespace oriel::engine
