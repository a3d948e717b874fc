#include "cli/serve_access.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "cli/validators.h"
#include "serving/clock.h"
#include "serving/http/tls.h"

namespace oriel::cli {
namespace {

using serving::http::TlsContext;

// Renewed files are taken at the next look.
constexpr auto kWatchInterval = std::chrono::seconds(5);

std::string OriginError(const std::string& text) {
  const absl::Status status = serving::http::CheckOrigin(text);
  return status.ok() ? "" : std::string(Message(status));
}

std::string NetworkError(const std::string& text) {
  const auto network = serving::http::Network::Parse(text);
  return network.ok() ? "" : std::string(Message(network.status()));
}

}  // namespace

void AddAccessOptions(CLI::App& command, AccessFlags& flags) {
  command.add_option("--tls-cert", flags.tls_certificate,
                     "Serve HTTPS with this certificate chain (PEM); read again when it "
                     "changes");
  command.add_option("--tls-key", flags.tls_key, "The certificate's private key (PEM)");
  command.add_option(
      "--tls-client-ca", flags.tls_client_authorities,
      "Let in only clients with a certificate that one of these signed (PEM)");
  command.add_option("--api-keys", flags.api_keys,
                     "File of API keys that calls need; see `oriel api-key`. Read again "
                     "when it changes");
  command
      .add_option("--rate-limit", flags.rate_limit,
                  "Requests per second from one client (API key, else address); beyond, "
                  "429")
      ->check(FiniteRange(0.001, 1e6));
  command
      .add_option("--rate-burst", flags.rate_burst,
                  "Requests at once after a pause (default: those of a second)")
      ->check(FiniteRange(1.0, 1e6));
  command
      .add_option("--cors-origin", flags.cors_origins,
                  "Let pages of this origin, such as https://shop.example, use the API; "
                  "'*': of any")
      ->check(CLI::Validator(OriginError, "ORIGIN"))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--trusted-proxy", flags.trusted_proxies,
                  "Believe the X-Forwarded-For of this address or network (10.0.0.0/8)")
      ->check(CLI::Validator(NetworkError, "NETWORK"))
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

absl::StatusOr<std::unique_ptr<ServerAccess>> SetUpAccess(
    const AccessFlags& flags, serving::http::ServerOptions& options) {
  auto access = std::make_unique<ServerAccess>();
  if (!flags.tls_certificate.empty()) {
    if (flags.tls_key.empty()) {
      return InvalidArgument("--tls-cert needs --tls-key beside it");
    }
    ASSIGN_OR_RETURN(options.tls,
                     TlsContext::Create({flags.tls_certificate, flags.tls_key,
                                         flags.tls_client_authorities}));
    access->watcher.Watch(options.tls->files(), [tls = options.tls] {
      const absl::Status status = tls->Reload();
      if (status.ok()) {
        spdlog::info("the TLS certificate was read again");
      } else {
        spdlog::error("the TLS certificate before stays: {}", Message(status));
      }
    });
  }
  // Not CLI11's needs(): flags may come from elsewhere, after it has looked.
  for (const auto& [name, value] :
       {std::pair("--tls-key", flags.tls_key),
        std::pair("--tls-client-ca", flags.tls_client_authorities)}) {
    if (!value.empty() && flags.tls_certificate.empty()) {
      return InvalidArgument("{} needs --tls-cert beside it", name);
    }
  }
  serving::GatekeeperOptions gatekeeper = {.api_keys = flags.api_keys};
  if (flags.rate_limit > 0) {
    gatekeeper.rate_limit = {.per_second = flags.rate_limit,
                             .burst = flags.rate_burst > 0
                                          ? flags.rate_burst
                                          : std::max(1.0, flags.rate_limit)};
  } else if (flags.rate_burst > 0) {
    return InvalidArgument("--rate-burst needs --rate-limit beside it");
  }
  ASSIGN_OR_RETURN(
      access->gatekeeper,
      serving::Gatekeeper::Create(std::move(gatekeeper), serving::Clock::Real()));
  if (!flags.api_keys.empty()) {
    access->watcher.Watch({flags.api_keys}, [keys = access->gatekeeper.get()] {
      const absl::Status status = keys->Reload();
      if (status.ok()) {
        spdlog::info("the API keys were read again");
      } else {
        spdlog::error("the API keys before stay: {}", Message(status));
      }
    });
  }
  options.gatekeeper = access->gatekeeper.get();
  options.cors.origins = flags.cors_origins;
  for (const std::string& proxy : flags.trusted_proxies) {
    ASSIGN_OR_RETURN(auto network, serving::http::Network::Parse(proxy));
    options.trusted_proxies.push_back(network);
  }
  access->watcher.Start(kWatchInterval);
  return access;
}

}  // namespace oriel::cli
