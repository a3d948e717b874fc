#include "engine/weight_store.h"

#include <algorithm>

#include "engine/memory.h"

namespace oriel::engine {

std::shared_ptr<uint8_t> WeightStore::Allocate(size_t size) {
  constexpr size_t kChunk = size_t{32} << 20;  // costs what is used of it
  constexpr size_t kAlignment = 64;
  if (chunk_size_ - chunk_used_ < size) {
    chunk_size_ = std::max(size, kChunk);
    chunk_ = AllocateMemory(chunk_size_);
    chunk_used_ = 0;
  }
  auto* const piece = reinterpret_cast<uint8_t*>(chunk_.get()) + chunk_used_;
  chunk_used_ = std::min((chunk_used_ + size + kAlignment - 1) / kAlignment * kAlignment,
                         chunk_size_);
  return {chunk_, piece};
}

absl::StatusOr<Tensor> WeightStore::GetOrCreate(
    const std::string& key, size_t size,
    const std::function<absl::Status(std::span<uint8_t>)>& fill) {
  std::shared_ptr<uint8_t> piece;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = entries_.find(key);
    if (it != entries_.end()) return it->second;
    piece = Allocate(size);
  }
  RETURN_IF_ERROR(fill({piece.get(), size}));
  const Bytes bytes(piece.get(), size);
  absl::MutexLock lock(&mutex_);
  return entries_
      .emplace(key, Tensor::View(DType::kUInt8, Shape{static_cast<int64_t>(size)}, bytes,
                                 std::move(piece)))
      .first->second;
}

std::shared_ptr<WeightStore> NewWeightStore() { return std::make_shared<WeightStore>(); }

}  // namespace oriel::engine
