// Who may send which request, and how many: keys and rates in one place, for every
// protocol.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/status.h"
#include "serving/api_keys.h"
#include "serving/clock.h"
#include "serving/rate_limiter.h"

namespace oriel::serving {

struct GatekeeperOptions {
  std::filesystem::path api_keys;  // a file (ApiKeys::Parse); empty: nobody needs a key
  std::optional<RateLimit> rate_limit;
};

// What came with a request.
struct Credentials {
  std::string_view key;      // "" when there was none
  std::string_view address;  // of the client
};

struct Admission {
  // kUnauthenticated: no key, or an unknown one; kPermissionDenied: one for other calls;
  // kResourceExhausted: too many requests.
  absl::Status status;
  Duration retry_after{};  // with kResourceExhausted
  std::string key_name;    // "": no key, or none is needed
  bool is_admin = false;   // by an admin key
};

// Thread-safe.
class Gatekeeper {
 public:
  static absl::StatusOr<std::unique_ptr<Gatekeeper>> Create(GatekeeperOptions options,
                                                            Clock& clock);

  bool needs_keys() const { return !options_.api_keys.empty(); }

  // A request for what kPublic opens always passes. Rates are counted by key where
  // there is a known one, else by address.
  Admission Admit(Access access, const Credentials& credentials);

  // Reads the keys again; on an error those before stay.
  absl::Status Reload();

 private:
  Gatekeeper(GatekeeperOptions options, Clock& clock);
  std::shared_ptr<const ApiKeys> keys() const;

  const GatekeeperOptions options_;
  Clock& clock_;
  std::optional<RateLimiter> limiter_;
  mutable Mutex mutex_;
  std::shared_ptr<const ApiKeys> keys_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace oriel::serving
