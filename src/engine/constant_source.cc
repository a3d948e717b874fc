#include "engine/constant_source.h"

namespace oriel::engine {

void ConstantSource::Read(std::string_view node, std::span<uint8_t> dst) const {
  const absl::Status status = ReadContent(node, dst);
  if (status.ok()) return;
  MutexLock lock(mutex_);
  if (status_.ok()) status_ = status;
}

absl::Status ConstantSource::status() const {
  MutexLock lock(mutex_);
  return status_;
}

}  // namespace oriel::engine
