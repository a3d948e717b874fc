// Constants in the form that kernels read, by key: what plans of one graph share.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "engine/plan.h"

namespace oriel::engine {

class WeightStore {
 public:
  // The bytes kept under `key`, aligned to 64; made by `fill` (which gets `size`
  // zeroed bytes) when there are none. The key says all that the bytes depend on:
  // the constant's own key and the form. Two threads that ask at once may both
  // fill; one result is kept. Thread-safe.
  absl::StatusOr<Tensor> GetOrCreate(
      const std::string& key, size_t size,
      const std::function<absl::Status(std::span<uint8_t>)>& fill);

 private:
  // A piece of `size` bytes that keeps the memory around it alive.
  std::shared_ptr<uint8_t> Allocate(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  // What is being filled: many constants are smaller than a huge page.
  std::shared_ptr<std::byte> chunk_ ABSL_GUARDED_BY(mutex_);
  size_t chunk_used_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t chunk_size_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, Tensor> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::engine
