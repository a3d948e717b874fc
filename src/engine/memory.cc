#include "engine/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/bytes.h"

namespace oriel::engine {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Below it the rest of a huge page would be a waste.
constexpr size_t kLeastForHugePages = size_t{1} << 20;

std::shared_ptr<std::byte> AllocateHuge(size_t bytes) {
  const size_t size = RoundUp(bytes, kHugePage);
  // More than needed, to find an aligned piece in; what is not touched costs nothing.
  const size_t reserved = size + kHugePage;
  void* const begin =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  auto* const aligned = reinterpret_cast<std::byte*>(
      RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePage));
  // A wish: without huge pages all works as well, only slower.
  madvise(aligned, size, MADV_HUGEPAGE);
  return {aligned, [begin, reserved](std::byte*) { munmap(begin, reserved); }};
}

}  // namespace

std::shared_ptr<std::byte> AllocateMemory(size_t bytes) {
  if (bytes >= kLeastForHugePages) return AllocateHuge(bytes);
  constexpr size_t kAlignment = 64;
  const size_t size = RoundUp(std::max<size_t>(bytes, 1), kAlignment);
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, size);
  return {memory, [](std::byte* p) { std::free(p); }};
}

}  // namespace oriel::engine
