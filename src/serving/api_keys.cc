#include "serving/api_keys.h"

#include <absl/strings/escaping.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/files.h"

namespace oriel::serving {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxKeys = 1000;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxKeyBytes = 1024;  // as presented

std::string_view TakeWord(std::string_view& line) {
  constexpr std::string_view kSpace = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

std::optional<Access> ParseScope(std::string_view word) {
  for (const Access scope : {Access::kUse, Access::kMetrics, Access::kAdmin}) {
    if (word == AccessName(scope)) return scope;
  }
  return std::nullopt;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                  (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
         });
}

bool ParseHash(std::string_view hex, std::array<uint8_t, 32>& hash) {
  const bool is_hex = std::all_of(hex.begin(), hex.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
  if (hex.size() != 2 * hash.size() || !is_hex) return false;
  const std::string bytes = absl::HexStringToBytes({hex.data(), hex.size()});
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return true;
}

}  // namespace

std::string_view AccessName(Access access) {
  switch (access) {
    case Access::kPublic:
      return "public";
    case Access::kUse:
      return "use";
    case Access::kMetrics:
      return "metrics";
    case Access::kAdmin:
      break;
  }
  return "admin";
}

absl::StatusOr<ApiKeys> ApiKeys::Parse(std::string_view text) {
  ApiKeys keys;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    const std::string_view scope = TakeWord(line);
    if (scope.empty()) continue;
    const std::string_view name = TakeWord(line);
    const std::string_view hash = TakeWord(line);
    const auto access = ParseScope(scope);
    Key key;
    if (!access.has_value()) {
      return InvalidArgument("line {}: scope '{}': want use, metrics or admin", number,
                             scope.substr(0, kMaxNameBytes));
    }
    if (!IsName(name)) {
      return InvalidArgument(
          "line {}: name '{}': want up to {} letters, digits, '-', '_' and '.'", number,
          name.substr(0, kMaxNameBytes), kMaxNameBytes);
    }
    // The text is not repeated: somebody may have put the key itself there.
    if (!ParseHash(hash, key.sha256) || !TakeWord(line).empty()) {
      return InvalidArgument("line {}: '{}' needs the SHA-256 of its key, 64 hex digits",
                             number, name);
    }
    for (const Key& other : keys.keys_) {
      if (other.name == name) {
        return InvalidArgument("line {}: name '{}' comes twice", number, name);
      }
      if (other.sha256 == key.sha256) {
        return InvalidArgument("line {}: '{}' has the key of '{}'", number, name,
                               other.name);
      }
    }
    if (keys.keys_.size() == kMaxKeys) {
      return InvalidArgument("line {}: more than {} keys", number, kMaxKeys);
    }
    key.name = name;
    key.scope = *access;
    keys.keys_.push_back(std::move(key));
  }
  if (keys.keys_.empty()) return InvalidArgument("there is no key in it");
  return keys;
}

absl::StatusOr<ApiKeys> ApiKeys::Read(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
      (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::PermissionDeniedError(
        fmt::format("{}: others may write it, and so let themselves in: chmod go-w it",
                    path.string()));
  }
  auto keys = Parse(text);
  if (!keys.ok()) return Annotate(keys.status(), path.string());
  return keys;
}

const ApiKeys::Key* ApiKeys::Find(std::string_view presented) const {
  if (presented.size() > kMaxKeyBytes) return nullptr;
  const std::string hex = HexDigest(DigestKind::kSha256, AsBytes(presented));
  std::array<uint8_t, 32> hash;
  ParseHash(hex, hash);
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    const bool same = CRYPTO_memcmp(key.sha256.data(), hash.data(), hash.size()) == 0;
    found = same ? &key : found;
  }
  return found;
}

bool ApiKeys::Opens(const Key& key, Access access) {
  return access == Access::kPublic || key.scope == Access::kAdmin || key.scope == access;
}

std::string NewApiKey() {
  std::string bytes(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(bytes.size())) != 1) {
    std::abort();  // no randomness, no keys
  }
  std::string text = absl::WebSafeBase64Escape(bytes);
  return "oriel_" + text.substr(0, text.find('='));
}

std::string ApiKeyLine(Access scope, std::string_view name, std::string_view key) {
  return fmt::format("{} {} {}", AccessName(scope), name,
                     HexDigest(DigestKind::kSha256, AsBytes(key)));
}

}  // namespace oriel::serving
