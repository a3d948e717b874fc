// Flags of `oriel serve` about who may call it: TLS, API keys, rates, origins, proxies.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "serving/file_watcher.h"
#include "serving/gatekeeper.h"
#include "serving/http/server.h"

namespace oriel::cli {

struct AccessFlags {
  std::string tls_certificate, tls_key, tls_client_authorities;
  std::string api_keys;
  double rate_limit = 0;  // 0: none
  double rate_burst = 0;  // 0: that of one second
  std::vector<std::string> cors_origins;
  std::vector<std::string> trusted_proxies;
};

void AddAccessOptions(CLI::App& command, AccessFlags& flags);

// What a server needs for as long as it runs.
struct ServerAccess {
  std::unique_ptr<serving::Gatekeeper> gatekeeper;
  serving::FileWatcher watcher;  // reads certificates and keys again when they change
};

// Fills what `options` has of it, and starts the watcher.
absl::StatusOr<std::unique_ptr<ServerAccess>> SetUpAccess(
    const AccessFlags& flags, serving::http::ServerOptions& options);

}  // namespace oriel::cli
