// Contents of a graph's constants that do not lie in its GraphDef: weights are large,
// and a plan whose weights are kept packed never asks for them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/mutex.h"
#include "base/status.h"

namespace oriel::engine {

// Thread-safe.
class ConstantSource {
 public:
  virtual ~ConstantSource() = default;

  // Bytes of the value of a Const node whose GraphDef has dtype and shape alone;
  // nullopt: the GraphDef has the value too.
  virtual std::optional<uint64_t> SizeOf(std::string_view node) const = 0;

  // The value's elements, row-major; dst: SizeOf(node) bytes. Constants are read in
  // the midst of work that cannot fail: what fails here leaves `dst` as it is and is
  // told by status(), which Plan::Compile asks for before it returns a plan.
  void Read(std::string_view node, std::span<uint8_t> dst) const;
  // The first error. Stays: what was made since may be wrong.
  absl::Status status() const;

 private:
  virtual absl::Status ReadContent(std::string_view node,
                                   std::span<uint8_t> dst) const = 0;

  mutable Mutex mutex_;
  mutable absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::engine
