// A library that is loaded when something needs it, not with the program.
#pragma once

#include <string>

#include "base/status.h"

namespace oriel {

class SharedLibrary {
 public:
  // `name` as the dynamic linker knows it: "libcurl.so.4". Never unloaded.
  // kFailedPrecondition: it is not there, or something that it needs is not.
  static absl::StatusOr<SharedLibrary> Open(const std::string& name);

  // Of the library's C function `symbol`: kFailedPrecondition where it has none.
  template <typename Function>
  absl::Status Find(const char* symbol, Function*& function) const {
    ASSIGN_OR_RETURN(void* const address, FindAddress(symbol));
    function = reinterpret_cast<Function*>(address);
    return absl::OkStatus();
  }

 private:
  SharedLibrary(std::string name, void* handle)
      : name_(std::move(name)), handle_(handle) {}
  absl::StatusOr<void*> FindAddress(const char* symbol) const;

  std::string name_;
  void* handle_;
};

}  // namespace oriel
