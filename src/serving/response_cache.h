// Answers kept for images that come again: by the hash of what was sent and the version
// of the model that answered. One for a server.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"

namespace oriel::serving {

// Thread-safe.
class ResponseCache {
 public:
  using Key = std::array<uint8_t, 32>;
  using Value = std::shared_ptr<const std::vector<float>>;  // probabilities

  // At most so many bytes, the bookkeeping counted; what was not asked for longest goes
  // first.
  explicit ResponseCache(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // Of an input to whatever `scope` names: a loaded version of a model, and how it is to
  // treat the input.
  static Key MakeKey(std::string_view scope, Bytes input);

  Value Find(const Key& key);  // null: not there
  void Insert(const Key& key, Value value);

  struct Statistics {
    uint64_t hits = 0, misses = 0, evictions = 0;
    uint64_t entries = 0, bytes = 0;
  };
  Statistics statistics() const;

 private:
  struct Entry {
    Key key;
    Value value;
    uint64_t bytes;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  const uint64_t max_bytes_;
  mutable Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // asked for last first
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> by_key_
      ABSL_GUARDED_BY(mutex_);
  Statistics statistics_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving
