// Memory that kernels run through: in huge pages where the system gives them, so that
// fewer addresses have to be looked up.
#pragma once

#include <cstddef>
#include <memory>

namespace oriel::engine {

// Zeroed, aligned to 64 bytes at the least. Throws std::bad_alloc.
std::shared_ptr<std::byte> AllocateMemory(size_t bytes);

}  // namespace oriel::engine
