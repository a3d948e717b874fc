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
#include <random>
#include <string>
#include <string_view>
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

// Why a server cannot listen gRPC tells its log alone: there it is taken from.
class ListenErrors {
 public:
  static ListenErrors& Instance() {
    static auto* const errors = new ListenErrors;  // gRPC's threads may outlive main
    return *errors;
  }

  void Begin() {
    MutexLock lock(mutex_);
    ++listening_;
    reason_.clear();
  }
  // What the system said since Begin; "" for nothing.
  std::string End() {
    MutexLock lock(mutex_);
    --listening_;
    return reason_;
  }
  // False when nobody is about to listen.
  bool Take(std::string_view message) {
    constexpr std::string_view kKey = "os_error:\"";
    MutexLock lock(mutex_);
    if (listening_ == 0) return false;
    const size_t start = message.find(kKey);
    if (start != std::string_view::npos) {
      message.remove_prefix(start + kKey.size());
      reason_ = message.substr(0, message.find('"'));
    }
    return true;
  }

 private:
  Mutex mutex_;
  int listening_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string reason_ ABSL_GUARDED_BY(mutex_);
};

void LogFromGrpc(gpr_log_func_args* args) {
  if (args->severity == GPR_LOG_SEVERITY_ERROR &&
      ListenErrors::Instance().Take(args->message)) {
    return;
  }
  const auto level = args->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn
                                                              : spdlog::level::debug;
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
  Impl(ModelRepository& models, WorkerPool& pool, Clock& clock, Metrics& metrics,
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
                 .metrics = metrics,
                 .active = active_,
                 .requests = requests_,
                 .request_prefix = fmt::format("{:08x}", std::random_device()()),
                 .gatekeeper = options.gatekeeper,
                 .administration = options.administration,
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
    ListenErrors::Instance().Begin();
    server_ = builder.BuildAndStart();
    const std::string reason = ListenErrors::Instance().End();
    if (server_ == nullptr || port == 0) {
      return Unavailable("cannot listen for gRPC at {}: {}", address,
                         reason.empty() ? "gRPC does not say why" : reason);
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
    // Until what was accepted is answered the server takes calls, and refuses them: one
    // that came upon a server that gRPC shuts down would be cancelled without a reason.
    const auto grace =
        context_.draining ? options_.drain_grace : std::chrono::milliseconds(0);
    const auto end = std::chrono::system_clock::now() + grace;
    while (active_ > 0 && std::chrono::system_clock::now() < end && !Pause()) {
    }
    server_->Shutdown(end);
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
  std::atomic<int> active_{0};
  std::atomic<uint64_t> requests_{0};
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
                                                      Metrics& metrics,
                                                      const std::atomic<bool>& draining,
                                                      const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(models, pool, clock, metrics, draining, options);
  RETURN_IF_ERROR(impl->Listen());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->port(); }

std::string Server::address() const { return impl_->address(); }

void Server::Wait() { impl_->Join(); }

}  // namespace oriel::serving::grpc
