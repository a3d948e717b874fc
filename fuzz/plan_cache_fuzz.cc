// A plan cache's file. What is read of it must lie within it. (Its checksum is not
// looked at here: no fuzzer would guess it.)

#include <cstdlib>
#include <cstring>
#include <vector>

#include "model/plan_cache_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // As a mapped file lies: aligned.
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(size + 64);
  void* place = memory.get();
  size_t space = size + 64;
  auto* const begin = static_cast<uint8_t*>(std::align(64, size + 1, place, space));
  if (begin == nullptr) std::abort();
  if (size > 0) std::memcpy(begin, data, size);
  const oriel::Bytes file(begin, size);
  const auto cache = oriel::model::ParsePlanCache(file, "fuzz");
  if (!cache.ok()) return 0;
  for (const auto& weights : cache->weights) {
    if (reinterpret_cast<uintptr_t>(weights.bytes.data()) % 64 != 0) std::abort();
    if (weights.bytes.data() < file.data() ||
        weights.bytes.data() + weights.bytes.size() > file.data() + file.size()) {
      std::abort();
    }
  }
  for (const auto& place : cache->contents) {
    if (place.size > cache->model.size || place.offset > cache->model.size - place.size) {
      std::abort();
    }
  }
  oriel::model::CheckWeights(*cache, "fuzz").IgnoreError();
  return 0;
}
