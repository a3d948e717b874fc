// The HTTP/1.1 server: one I/O thread that accepts, reads, times out and replies,
// and never waits for a model. Boost.Beast on Asio coroutines.
//
// Hostile or broken input ends in a status and a closed connection: see
// docs/http.md for limits and codes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "serving/http/client_address.h"
#include "serving/http/cors.h"

namespace oriel::serving {
class Gatekeeper;
}

namespace oriel::serving::http {

class App;
class TlsContext;

// Administration is whatever needs more than Access::kUse: metrics, and calls that change
// what the server does. It may have an address of its own.
enum class Serves {
  kEverything,
  kAllButAdministration,
  kAdministration,  // and what watches the server's health
};

struct ServerOptions {
  std::string host = "127.0.0.1";  // an address or a name
  uint16_t port = 8000;            // 0: any that is free
  size_t max_connections = 2048;
  size_t max_header_bytes = 16 << 10;
  uint64_t max_body_bytes = uint64_t{32} << 20;
  uint64_t max_upload_bytes = uint64_t{512} << 20;  // of all requests together
  // From a request's first byte to the end of its headers.
  std::chrono::milliseconds header_timeout{10'000};
  // A body may take this long, and a second more for each min_bytes_per_second.
  // Replies likewise.
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds write_timeout{30'000};
  uint64_t min_bytes_per_second = 16 << 10;
  std::chrono::milliseconds idle_timeout{75'000};     // between requests
  std::chrono::milliseconds request_timeout{60'000};  // from upload to answer: 504
  // After a refusal the rest of the upload is read and dropped for this long, so
  // that the client gets to see why.
  std::chrono::milliseconds linger{3'000};
  std::chrono::milliseconds drain_grace{30'000};
  std::shared_ptr<TlsContext> tls;   // null: in the clear
  Gatekeeper* gatekeeper = nullptr;  // null: everybody may call everything
  CorsPolicy cors;
  // Whose X-Forwarded-For is believed.
  std::vector<Network> trusted_proxies;
  Serves serves = Serves::kEverything;
  // SIGINT and SIGTERM drain the server; a second one ends the process.
  bool handle_signals = false;
};

class Server {
 public:
  // Binds and listens, and answers from now on. `app` outlives the server, and its
  // worker threads end before it is destroyed. Errors name the address.
  static absl::StatusOr<std::unique_ptr<Server>> Start(App& app,
                                                       const ServerOptions& options);
  // Drains without grace.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8000"

  // Stops accepting, lets requests whose headers have come finish, answers 503 to
  // what comes later on open connections, closes idle ones. Returns at once;
  // thread-safe; may be called twice.
  void Drain();

  // Blocks until the last connection is closed, or drain_grace after Drain.
  void Wait();

  // Open connections now. Thread-safe.
  size_t connections() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace oriel::serving::http
