// The gRPC server: the Open Inference Protocol, TensorFlow Serving's services,
// grpc.health.v1 and reflection, over the models that HTTP serves. docs/grpc.md says what
// each call takes, and names the limits.
//
// Threads are gRPC's (callbacks); none waits for a model.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "serving/clock.h"
#include "serving/gatekeeper.h"
#include "serving/http/client_address.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/worker_pool.h"

namespace oriel::serving::grpc {

// PEM files, which are read again when they change.
struct TlsFiles {
  std::filesystem::path certificate;  // the server's, then those it was signed with
  std::filesystem::path key;
  // Clients must show a certificate that one of these signed. Empty: they need none.
  std::filesystem::path client_authorities;
};

struct ServerOptions {
  std::string host = "127.0.0.1";  // an address or a name
  uint16_t port = 8001;            // 0: any that is free
  int top_k = 5;                   // labels of an answer, where the client does not say
  uint64_t max_message_bytes = uint64_t{64} << 20;
  uint64_t max_upload_bytes = uint64_t{512} << 20;    // of all calls together
  int max_concurrent_streams = 256;                   // calls of one connection
  size_t max_stream_requests = 64;                    // in work, of one ModelStreamInfer
  std::chrono::milliseconds request_timeout{60'000};  // from a message to its answer
  std::chrono::milliseconds drain_grace{30'000};
  std::optional<TlsFiles> tls;       // none: in the clear
  Gatekeeper* gatekeeper = nullptr;  // null: everybody may do everything
  bool administration = true;        // false: there is another address for it
  // Whose x-forwarded-for is believed.
  std::vector<http::Network> trusted_proxies;
};

class Server {
 public:
  // Binds, listens and answers from now on. Once `draining` is true it answers what it
  // has accepted, up to drain_grace, refuses the rest (UNAVAILABLE), and ends. All
  // arguments outlive the server. kUnavailable names the address that is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ModelRepository& models,
                                                       WorkerPool& pool, Clock& clock,
                                                       Metrics& metrics,
                                                       const std::atomic<bool>& draining,
                                                       const ServerOptions& options);
  // Ends without grace, but for what the models are computing.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  std::string address() const;  // "127.0.0.1:8001"

  // Blocks until the server has ended after `draining`.
  void Wait();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace oriel::serving::grpc
