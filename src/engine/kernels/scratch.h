// Cuts a piece of scratch memory into arrays.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace oriel::engine::kernels {

class Scratch {
 public:
  // With null only the size is counted.
  explicit Scratch(std::byte* memory) : memory_(memory) {}

  // Aligned to 64; not initialized.
  template <typename T>
  T* Take(int64_t count) {
    T* taken = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + bytes_);
    bytes_ += RoundUp(static_cast<size_t>(count) * sizeof(T), 64);
    return taken;
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

}  // namespace oriel::engine::kernels
