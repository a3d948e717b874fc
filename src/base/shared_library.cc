#include "base/shared_library.h"

#include <dlfcn.h>

namespace oriel {

absl::StatusOr<SharedLibrary> SharedLibrary::Open(const std::string& name) {
  void* const handle = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const error = ::dlerror();
    return FailedPrecondition("{} cannot be loaded: {}", name,
                              error != nullptr ? error : "unknown error");
  }
  return SharedLibrary(name, handle);
}

absl::StatusOr<void*> SharedLibrary::FindAddress(const char* symbol) const {
  void* const address = ::dlsym(handle_, symbol);
  if (address == nullptr) return FailedPrecondition("{} has no {}", name_, symbol);
  return address;
}

}  // namespace oriel
