// The file of API keys: what is taken can be looked through.

#include <cstdint>
#include <string_view>

#include "serving/api_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto keys = oriel::serving::ApiKeys::Parse(text);
  if (keys.ok() && (keys->size() == 0 || keys->Find(text) != nullptr)) __builtin_trap();
  return 0;
}
