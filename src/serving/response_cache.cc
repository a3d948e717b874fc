#include "serving/response_cache.h"

#include <openssl/sha.h>

#include <cstring>
#include <utility>

namespace oriel::serving {
namespace {

// Of an entry: its nodes in the list and the map, the vector, the counts of the pointer.
constexpr uint64_t kEntryOverhead = 256;

}  // namespace

size_t ResponseCache::Hash::operator()(const Key& key) const {
  size_t hash;  // the key is a hash already
  std::memcpy(&hash, key.data(), sizeof(hash));
  return hash;
}

ResponseCache::Key ResponseCache::MakeKey(std::string_view scope, Bytes input) {
  // The scope's own hash first: it has a length of its own, so that no input can
  // continue it.
  std::array<uint8_t, 64> both;
  ::SHA256(reinterpret_cast<const uint8_t*>(scope.data()), scope.size(), both.data());
  ::SHA256(input.data(), input.size(), both.data() + 32);
  Key key;
  ::SHA256(both.data(), both.size(), key.data());
  return key;
}

ResponseCache::Value ResponseCache::Find(const Key& key) {
  const MutexLock lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    ++statistics_.misses;
    return nullptr;
  }
  ++statistics_.hits;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->value;
}

void ResponseCache::Insert(const Key& key, Value value) {
  const uint64_t bytes = kEntryOverhead + value->size() * sizeof(float);
  if (bytes > max_bytes_) return;
  std::list<Entry> evicted;  // freed without the lock
  const MutexLock lock(mutex_);
  if (by_key_.contains(key)) return;  // two asked for the same at the same time
  while (statistics_.bytes + bytes > max_bytes_) {
    const auto last = std::prev(entries_.end());
    by_key_.erase(last->key);
    statistics_.bytes -= last->bytes;
    ++statistics_.evictions;
    evicted.splice(evicted.begin(), entries_, last);
  }
  entries_.push_front({key, std::move(value), bytes});
  by_key_.emplace(key, entries_.begin());
  statistics_.bytes += bytes;
}

ResponseCache::Statistics ResponseCache::statistics() const {
  const MutexLock lock(mutex_);
  Statistics statistics = statistics_;
  statistics.entries = entries_.size();
  return statistics;
}

}  // namespace oriel::serving
