// How many bytes of uploads are in memory, over all requests.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace oriel::serving {

// Bytes of uploads that are in memory, for all requests together. Thread-safe.
class UploadBudget {
 public:
  explicit UploadBudget(uint64_t max_bytes) : max_bytes_(max_bytes) {}
  bool TryTake(uint64_t bytes) {
    uint64_t used = used_;
    do {
      if (bytes > max_bytes_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes));
    return true;
  }
  void Return(uint64_t bytes) { used_ -= bytes; }
  uint64_t used() const { return used_; }

 private:
  const uint64_t max_bytes_;
  std::atomic<uint64_t> used_{0};
};

// One request's share of the budget, returned when it ends.
class UploadLease {
 public:
  explicit UploadLease(std::shared_ptr<UploadBudget> budget = nullptr)
      : budget_(std::move(budget)) {}
  UploadLease(UploadLease&& other) noexcept
      : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
  UploadLease& operator=(UploadLease&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~UploadLease() {
    if (budget_ != nullptr) budget_->Return(bytes_);
  }
  bool Grow(uint64_t bytes) {
    if (!budget_->TryTake(bytes)) return false;
    bytes_ += bytes;
    return true;
  }

 private:
  std::shared_ptr<UploadBudget> budget_;
  uint64_t bytes_ = 0;
};

}  // namespace oriel::serving
