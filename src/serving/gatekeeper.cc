#include "serving/gatekeeper.h"

#include <utility>

namespace oriel::serving {

Gatekeeper::Gatekeeper(GatekeeperOptions options, Clock& clock)
    : options_(std::move(options)), clock_(clock) {
  if (options_.rate_limit.has_value()) limiter_.emplace(*options_.rate_limit);
}

absl::StatusOr<std::unique_ptr<Gatekeeper>> Gatekeeper::Create(GatekeeperOptions options,
                                                               Clock& clock) {
  std::unique_ptr<Gatekeeper> gatekeeper(new Gatekeeper(std::move(options), clock));
  if (gatekeeper->needs_keys()) RETURN_IF_ERROR(gatekeeper->Reload());
  return gatekeeper;
}

absl::Status Gatekeeper::Reload() {
  ASSIGN_OR_RETURN(ApiKeys keys, ApiKeys::Read(options_.api_keys));
  auto shared = std::make_shared<const ApiKeys>(std::move(keys));
  const MutexLock lock(mutex_);
  keys_.swap(shared);
  return absl::OkStatus();
}

std::shared_ptr<const ApiKeys> Gatekeeper::keys() const {
  const MutexLock lock(mutex_);
  return keys_;
}

Admission Gatekeeper::Admit(Access access, const Credentials& credentials) {
  Admission admission;
  if (access == Access::kPublic) return admission;
  const auto keys = this->keys();
  const ApiKeys::Key* key = nullptr;
  if (keys != nullptr && !credentials.key.empty()) key = keys->Find(credentials.key);
  if (key != nullptr) {
    admission.key_name = key->name;
    admission.is_admin = key->scope == Access::kAdmin;
  }
  if (limiter_.has_value()) {
    // A name is no address: they do not meet.
    const std::string client =
        key != nullptr ? "key " + key->name : std::string(credentials.address);
    if (const auto wait = limiter_->Take(client, clock_.Now())) {
      admission.status = ResourceExhausted("too many requests from this client");
      admission.retry_after = *wait;
      return admission;
    }
  }
  if (keys == nullptr) return admission;
  if (key == nullptr) {
    admission.status =
        absl::UnauthenticatedError(credentials.key.empty() ? "this call needs an API key"
                                                           : "this API key is not known");
  } else if (!ApiKeys::Opens(*key, access)) {
    admission.status = absl::PermissionDeniedError(
        fmt::format("this call needs an API key for '{}', this one is for '{}'",
                    AccessName(access), AccessName(key->scope)));
  }
  return admission;
}

}  // namespace oriel::serving
