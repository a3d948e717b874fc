#include "engine/choices.h"

#include <utility>

namespace oriel::engine {

Choices::Choices(Entries entries) : entries_(std::move(entries)) {}

std::optional<std::string> Choices::Find(std::string_view key) const {
  MutexLock lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return std::nullopt;
  return it->second;
}

void Choices::Insert(std::string key, std::string value) {
  MutexLock lock(mutex_);
  const auto [it, is_new] = entries_.try_emplace(std::move(key));
  if (!is_new && it->second == value) return;
  it->second = std::move(value);
  changed_ = true;
}

Choices::Entries Choices::entries() const {
  MutexLock lock(mutex_);
  return entries_;
}

bool Choices::changed() const {
  MutexLock lock(mutex_);
  return changed_;
}

}  // namespace oriel::engine
