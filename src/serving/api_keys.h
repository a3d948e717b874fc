// Who may call what: keys that clients send, of which the server knows the hashes alone.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace oriel::serving {

// What a call needs.
enum class Access {
  kPublic,   // nothing: health, the page's own files
  kUse,      // to classify, and to see which models there are
  kMetrics,  // to read metrics
  kAdmin,    // to change what the server does: models, log level
};

// Of keys: "use" opens kUse, "metrics" kMetrics, "admin" everything.
std::string_view AccessName(Access access);

// Immutable; thread-safe.
class ApiKeys {
 public:
  struct Key {
    std::string name;  // for logs and limits
    Access scope = Access::kUse;
    std::array<uint8_t, 32> sha256{};
  };

  // One key per line: scope, name, SHA-256 of the key as hex. Empty lines and what
  // follows a '#' are skipped. kInvalidArgument names the line.
  static absl::StatusOr<ApiKeys> Parse(std::string_view text);
  // kPermissionDenied for a file that others may write.
  static absl::StatusOr<ApiKeys> Read(const std::filesystem::path& path);

  // The key whose hash is that of `presented`; null when there is none. Takes as long for
  // one as for the other.
  const Key* Find(std::string_view presented) const;
  static bool Opens(const Key& key, Access access);

  size_t size() const { return keys_.size(); }

 private:
  std::vector<Key> keys_;
};

// A new key of 256 random bits: "oriel_" and 43 characters.
std::string NewApiKey();
// What ApiKeys::Parse wants of it.
std::string ApiKeyLine(Access scope, std::string_view name, std::string_view key);

}  // namespace oriel::serving
