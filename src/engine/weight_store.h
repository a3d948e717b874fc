// Constants in the form that kernels read, by key: what plans of one graph share.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/plan.h"

namespace oriel::engine {

class WeightStore {
 public:
  // The bytes kept under `key`, aligned to 64; made by `fill` (which gets `size`
  // zeroed bytes) when there are none. The key says all that the bytes depend on:
  // the constant's own key and the form, and what else went in, for a plan cache keeps
  // them from process to process. Two threads that ask at once may both fill; one
  // result is kept. Thread-safe.
  absl::StatusOr<Tensor> GetOrCreate(
      const std::string& key, size_t size,
      const std::function<absl::Status(std::span<uint8_t>)>& fill);

  // Keeps bytes that an earlier process made (aligned to 64; `owner` keeps them alive)
  // under a key that has none yet.
  void Add(const std::string& key, Bytes bytes, std::shared_ptr<const void> owner);

  // In the order in which they came: what a plan reads stays together. The bytes live as
  // long as the store.
  struct Entry {
    std::string key;
    Bytes bytes;
    bool asked = false;  // else added, and nobody wanted it
  };
  std::vector<Entry> Entries() const;
  struct Counts {
    size_t found = 0;  // entries that were added and asked for
    size_t made = 0;
  };
  Counts counts() const;

 private:
  struct Kept {
    Tensor bytes;
    bool asked = false;
  };

  // A piece of `size` bytes that keeps the memory around it alive.
  std::shared_ptr<uint8_t> Allocate(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  // What is being filled: many constants are smaller than a huge page.
  std::shared_ptr<std::byte> chunk_ ABSL_GUARDED_BY(mutex_);
  size_t chunk_used_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t chunk_size_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, Kept> entries_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> order_ ABSL_GUARDED_BY(mutex_);  // of coming
  size_t made_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace oriel::engine
