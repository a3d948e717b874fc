#include "serving/grpc/server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "serving/grpc/context.h"
#include "serving/grpc/infer_stream.h"
#include "serving/grpc/open_inference_service.h"
#include "serving/grpc/tensorflow_serving_service.h"

namespace oriel::serving::grpc {
namespace {

// How often draining and the models' states are looked at.
constexpr std::chrono::milliseconds kLookInterval{50};

// A peer that does not answer is gone within some two minutes; one that pings more often
// than every ten seconds is sent away.
constexpr int kKeepaliveMs = 90'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kMinPingMs = 10'000;
constexpr int kMaxMetadataBytes = 16 << 10;

// The one place that decides how connections are secured.
std::shared_ptr<::grpc::ServerCredentials> Credentials(
    const std::optional<TlsFiles>& files) {
  if (!files.has_value()) return ::grpc::InsecureServerCredentials();
  namespace tls = ::grpc::experimental;
  constexpr unsigned kRefreshSeconds = 5;
  const bool mutual = !files->client_authorities.empty();
  const auto provider = mutual ? std::make_shared<tls::FileWatcherCertificateProvider>(
                                     files->key, files->certificate,
                                     files->client_authorities, kRefreshSeconds)
                               : std::make_shared<tls::FileWatcherCertificateProvider>(
                                     files->key, files->certificate, kRefreshSeconds);
  tls::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (mutual) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

void LogFromGrpc(gpr_log_func_args* args) {
  const auto level = args->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::warn
                     : args->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::debug
                                                               : spdlog::level::trace;
  spdlog::log(level, "gRPC: {}", args->message);
}

// Once for the process, and before the first server.
void SetUpLibrary() {
  static std::once_flag once;
  std::call_once(once, [] {
    gpr_set_log_function(LogFromGrpc);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    ::grpc::EnableDefaultHealthCheckService(true);
    ::grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

std::string Address(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

}  // namespace

class Server::Impl {
 public:
  Impl(ModelRepository& models, WorkerPool& pool, Clock& clock,
       const std::atomic<bool>& draining, const ServerOptions& options)
      : options_(options),
        context_{.models = models,
                 .pool = pool,
                 .clock = clock,
                 .draining = draining,
                 .top_k = options.top_k,
                 .request_timeout = options.request_timeout,
                 .max_message_bytes = options.max_message_bytes,
                 .max_stream_requests = options.max_stream_requests,
                 .uploads = std::make_shared<UploadBudget>(options.max_upload_bytes),
                 .gatekeeper = options.gatekeeper,
                 .trusted_proxies = options.trusted_proxies} {}

  ~Impl() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.NotifyAll();
    Join();
  }

  absl::Status Listen() {
    SetUpLibrary();
    services_.push_back(MakeOpenInferenceService(context_, streams_));
    services_.push_back(MakePredictionService(context_));
    services_.push_back(MakeModelService(context_));
    ::grpc::ServerBuilder builder;
    for (const auto& service : services_) builder.RegisterService(service.get());
    int port = 0;
    const std::string address = Address(options_.host, options_.port);
    builder.AddListeningPort(address, Credentials(options_.tls), &port);
    SetLimits(builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return Unavailable("cannot listen for gRPC at {}: is the port taken?", address);
    }
    port_ = static_cast<uint16_t>(port);
    UpdateHealth(false);
    thread_ = std::thread([this] { Watch(); });
    return absl::OkStatus();
  }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }

  uint16_t port() const { return port_; }
  std::string address() const { return Address(options_.host, port_); }

 private:
  void SetLimits(::grpc::ServerBuilder& builder) const {
    builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_message_bytes));
    // What gRPC itself may hold: messages that have come, and one that comes.
    ::grpc::ResourceQuota quota("oriel");
    quota.Resize(2 * options_.max_upload_bytes + 4 * options_.max_message_bytes);
    builder.SetResourceQuota(quota);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // gRPC would decompress a message however large it becomes: ParseMessage does it.
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               options_.max_concurrent_streams);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kMinPingMs);
  }

  // Until the server drains or ends; then ends it.
  void Watch() {
    while (!context_.draining && !Pause()) UpdateHealth(true);
    UpdateHealth(false);
    streams_.Drain();
    const auto grace =
        context_.draining ? options_.drain_grace : std::chrono::milliseconds(0);
    server_->Shutdown(std::chrono::system_clock::now() + grace);
  }

  // True when the server is to end.
  bool Pause() {
    MutexLock lock(mutex_);
    if (!stopping_)
      wake_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kLookInterval);
    return stopping_;
  }

  void UpdateHealth(bool serving) {
    auto* health = server_->GetHealthCheckService();
    if (!serving) return health->SetServingStatus(false);
    const bool ready = context_.models.started();
    health->SetServingStatus("", ready);
    for (const auto& model : context_.models.Index()) {
      const bool available =
          std::ranges::any_of(model.versions, [](const VersionStatus& version) {
            return version.state == VersionState::kAvailable;
          });
      health->SetServingStatus(model.name, available);
    }
  }

  const ServerOptions options_;
  const Context context_;
  InferStreams streams_;
  std::vector<std::unique_ptr<::grpc::Service>> services_;  // outlive server_
  std::unique_ptr<::grpc::Server> server_;
  uint16_t port_ = 0;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ModelRepository& models,
                                                      WorkerPool& pool, Clock& clock,
                                                      const std::atomic<bool>& draining,
                                                      const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(models, pool, clock, draining, options);
  RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->port(); }

std::string Server::address() const { return impl_->address(); }

void Server::Wait() { impl_->Join(); }

}  // namespace oriel::serving::grpc
