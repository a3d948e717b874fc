#include "engine/weight_store.h"

#include <algorithm>

#include "base/bytes.h"
#include "engine/memory.h"

namespace oriel::engine {

namespace {

Tensor View(Bytes bytes, std::shared_ptr<const void> owner) {
  return Tensor::View(DType::kUInt8, Shape{static_cast<int64_t>(bytes.size())}, bytes,
                      std::move(owner));
}

}  // namespace

std::shared_ptr<uint8_t> WeightStore::Allocate(size_t size) {
  constexpr size_t kChunk = size_t{32} << 20;  // costs what is used of it
  constexpr size_t kAlignment = 64;
  if (chunk_size_ - chunk_used_ < size) {
    chunk_size_ = std::max(size, kChunk);
    chunk_ = AllocateMemory(chunk_size_);
    chunk_used_ = 0;
  }
  auto* const piece = reinterpret_cast<uint8_t*>(chunk_.get()) + chunk_used_;
  chunk_used_ = std::min(RoundUp(chunk_used_ + size, kAlignment), chunk_size_);
  return {chunk_, piece};
}

absl::StatusOr<Tensor> WeightStore::GetOrCreate(
    const std::string& key, size_t size,
    const std::function<absl::Status(std::span<uint8_t>)>& fill) {
  std::shared_ptr<uint8_t> piece;
  {
    absl::MutexLock lock(&mutex_);
    const auto it = entries_.find(key);
    // One that was added may be of any size.
    if (it != entries_.end() && it->second.bytes.bytes().size() == size) {
      it->second.asked = true;
      return it->second.bytes;
    }
    piece = Allocate(size);
  }
  RETURN_IF_ERROR(fill({piece.get(), size}));
  const Bytes bytes(piece.get(), size);
  absl::MutexLock lock(&mutex_);
  const auto [it, is_new] = entries_.try_emplace(key);
  Kept& kept = it->second;
  if (kept.asked && kept.bytes.bytes().size() == size) return kept.bytes;
  if (is_new) order_.push_back(key);
  kept = {.bytes = View(bytes, std::move(piece)), .asked = true};
  ++made_;
  return kept.bytes;
}

void WeightStore::Add(const std::string& key, Bytes bytes,
                      std::shared_ptr<const void> owner) {
  absl::MutexLock lock(&mutex_);
  const auto [it, is_new] = entries_.try_emplace(key);
  if (!is_new) return;
  order_.push_back(key);
  it->second.bytes = View(bytes, std::move(owner));
}

std::vector<WeightStore::Entry> WeightStore::Entries() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Entry> entries;
  for (const std::string& key : order_) {
    const Kept& kept = entries_.at(key);
    entries.push_back({key, kept.bytes.bytes(), kept.asked});
  }
  return entries;
}

WeightStore::Counts WeightStore::counts() const {
  absl::MutexLock lock(&mutex_);
  const auto asked = std::count_if(entries_.begin(), entries_.end(),
                                   [](const auto& entry) { return entry.second.asked; });
  return {.found = static_cast<size_t>(asked) - made_, .made = made_};
}

std::shared_ptr<WeightStore> NewWeightStore() { return std::make_shared<WeightStore>(); }

}  // namespace oriel::engine
