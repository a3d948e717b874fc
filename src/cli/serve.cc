// `oriel serve`: the page and the HTTP API over a folder of models.

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cpus.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/serve_access.h"
#include "cli/settings.h"
#include "cli/validators.h"
#include "model/model_directory.h"
#include "model/session.h"
#include "serving/grpc/server.h"
#include "serving/http/app.h"
#include "serving/http/server.h"
#include "serving/http/web.h"
#include "serving/log.h"
#include "serving/model_repository.h"
#include "serving/response_cache.h"
#include "serving/served_model.h"
#include "serving/worker_pool.h"

namespace oriel::cli {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::vector<std::string> models;
  std::string model_dir = "models";
  serving::VersionPolicy version_policy;
  std::vector<serving::VersionLabel> version_labels;
  bool load_on_demand = false;
  double poll_interval = 2;
  std::string host = "127.0.0.1";
  int port = 8000;
  std::optional<int> grpc_port;
  bool no_grpc = false;
  int grpc_max_message_mb = 64;
  std::string admin_host = "127.0.0.1";
  int admin_port = -1;  // none: administration is served beside the rest
  int top_k = 5;
  int max_batch = 8;
  int64_t max_delay_us = -1;  // < 0: by the mode
  std::string mode = "auto";
  int workers = 0;  // 0: by the mode
  bool no_pin = false;
  int threads = 0;
  engine::Precision precision = engine::Precision::kF32;
  model::PlanCacheOptions plan_cache = {.verify = true};  // it is to run for long
  int decode_threads = 0;
  int queue = 256;
  int response_cache_mb = 0;
  int max_body_mb = 32;
  int max_upload_mb = 512;
  int max_pixels = 100'000'000;
  int max_connections = 2048;
  double header_timeout = 10;
  double body_timeout = 30;
  double idle_timeout = 75;
  double request_timeout = 60;
  double grace = 30;
  AccessFlags access;
  std::string web_dir;
  std::string notice;
  std::string log_level = "info";
  std::string log_format = "text";
  bool access_log = true;
};

std::chrono::milliseconds Seconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

serving::LogSettings LogSettingsOf(const Flags& flags) {
  serving::LogSettings settings = *serving::LogSettingsFor(flags.log_level);
  settings.format = *serving::ParseLogFormat(flags.log_format);
  settings.access = flags.access_log;
  return settings;
}

// Each connection is a descriptor; systems start processes with few.
void RaiseDescriptorLimit(size_t wanted) {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// How the CPUs are shared between batches.
struct Concurrency {
  int workers;  // batches at the same time
  int threads;  // of each
  std::chrono::microseconds max_delay;
};

Concurrency ConcurrencyOf(const Flags& flags) {
  const int cpus = AvailableCpus();
  const bool throughput = flags.mode == "throughput";
  int workers = flags.workers;
  if (workers == 0) workers = throughput ? cpus / std::max(1, flags.threads) : 1;
  workers = std::max(1, workers);
  const int64_t delay_us = flags.max_delay_us >= 0   ? flags.max_delay_us
                           : flags.mode == "latency" ? 0
                           : throughput              ? 20'000
                                                     : 2'000;
  return {workers, flags.threads > 0 ? flags.threads : std::max(1, cpus / workers),
          std::chrono::microseconds(delay_us)};
}

absl::StatusOr<std::shared_ptr<serving::ServedModel>> Load(
    const Flags& flags, const model::ModelDirectory& directory, serving::WorkerPool& pool,
    const std::shared_ptr<serving::ResponseCache>& cache) {
  const Concurrency concurrency = ConcurrencyOf(flags);
  model::SessionOptions session_options;
  session_options.max_batch = flags.max_batch;
  session_options.precision = flags.precision;
  session_options.max_pixels = flags.max_pixels;
  session_options.plan_cache = flags.plan_cache;
  session_options.threads = concurrency.threads;
  ASSIGN_OR_RETURN(auto session, model::Session::Open(directory.path, session_options));
  spdlog::info("{} version {}, {}", session->name(), session->version(),
               DescribePrecision(session->precision()));
  const std::string_view caveat = engine::PrecisionCaveat(session->precision().precision);
  if (!caveat.empty()) spdlog::warn("{}", caveat);
  spdlog::info("{}", session->plan_cache_report());
  serving::ServedModelOptions options;
  options.workers = concurrency.workers;
  options.pin = !flags.no_pin;
  options.max_delay = concurrency.max_delay;
  options.cache = cache;
  options.max_pending = flags.queue;
  return serving::ServedModel::Create(std::move(session), options, pool,
                                      serving::Clock::Real());
}

// Which folders are models, and which of their versions are wanted.
absl::StatusOr<serving::ModelRepositoryOptions> RepositoryOptions(const Flags& flags) {
  serving::ModelRepositoryOptions options;
  options.settings.policy = flags.version_policy;
  options.load_on_demand = flags.load_on_demand;
  options.poll_interval = Seconds(flags.poll_interval);
  options.unload_grace = Seconds(flags.grace);
  if (flags.models.empty() || flags.load_on_demand) options.root = flags.model_dir;
  if (flags.models.empty() && !flags.load_on_demand &&
      model::ListModels(flags.model_dir).empty()) {
    // For its error: it says what to do.
    RETURN_IF_ERROR(model::FindDefaultModel(flags.model_dir).status());
  }
  std::map<std::string, serving::ModelSettings> own;
  for (const std::string& model : flags.models) {
    ASSIGN_OR_RETURN(const model::ModelDirectory directory,
                     model::FindModel(model, flags.model_dir));
    if (options.default_model.empty()) options.default_model = directory.name;
    const bool is_version =
        model::ParseVersion(directory.path.filename().string()).has_value();
    const fs::path folder = is_version ? directory.path.parent_path() : directory.path;
    if (!options.models.emplace(directory.name, folder).second) {
      return InvalidArgument("two models are called '{}'", directory.name);
    }
    // The path of a version means that one alone.
    if (is_version && fs::path(model).filename() == directory.version) {
      own[directory.name] = options.settings;
      own[directory.name].policy = {serving::VersionPolicy::Kind::kSpecific,
                                    1,
                                    {*model::ParseVersion(directory.version)}};
    }
  }
  for (const serving::VersionLabel& label : flags.version_labels) {
    if (label.model.empty()) {
      options.settings.labels[label.label] = label.version;
      for (auto& [name, settings] : own) settings.labels[label.label] = label.version;
    }
  }
  for (const serving::VersionLabel& label : flags.version_labels) {
    if (label.model.empty()) continue;
    const auto it = own.try_emplace(label.model, options.settings).first;
    it->second.labels[label.label] = label.version;
  }
  options.settings_by_model = std::move(own);
  return options;
}

// Why the server has nothing to answer with; OK when it has.
absl::Status NothingLoaded(const serving::ModelRepository& models) {
  absl::Status first;
  for (const serving::ModelStatus& model : models.Index()) {
    for (const serving::VersionStatus& version : model.versions) {
      if (version.state == serving::VersionState::kAvailable) return absl::OkStatus();
      if (first.ok()) first = version.error;
    }
  }
  return first.ok() ? Unavailable("no model could be loaded") : first;
}

// Where nothing is said, the port that Triton's clients know, or, beside an HTTP port
// that is any, any.
uint16_t GrpcPort(const Flags& flags) {
  constexpr int kDefault = 8001;
  return static_cast<uint16_t>(flags.grpc_port.value_or(flags.port == 0 ? 0 : kDefault));
}

// Null with --no-grpc.
absl::StatusOr<std::unique_ptr<serving::grpc::Server>> StartGrpc(
    const Flags& flags, serving::http::App& app,
    const serving::http::ServerOptions& http) {
  if (flags.no_grpc) return nullptr;
  serving::grpc::ServerOptions options;
  options.host = flags.host;
  options.port = GrpcPort(flags);
  options.top_k = flags.top_k;
  options.max_message_bytes = uint64_t{1} * flags.grpc_max_message_mb << 20;
  options.max_upload_bytes = uint64_t{1} * flags.max_upload_mb << 20;
  options.request_timeout = Seconds(flags.request_timeout);
  options.drain_grace = Seconds(flags.grace);
  options.gatekeeper = http.gatekeeper;
  options.trusted_proxies = http.trusted_proxies;
  options.administration = http.serves == serving::http::Serves::kEverything;
  if (!flags.access.tls_certificate.empty()) {
    options.tls = {flags.access.tls_certificate, flags.access.tls_key,
                   flags.access.tls_client_authorities};
  }
  auto server = serving::grpc::Server::Start(app.models, app.pool, app.clock, app.metrics,
                                             app.draining, options);
  if (!server.ok()) {
    return absl::Status(server.status().code(),
                        fmt::format("{} (--grpc-port takes another, --no-grpc does "
                                    "without)",
                                    Message(server.status())));
  }
  return server;
}

// What `serve` would do first, without an address: an error says what it would stumble
// over.
absl::StatusOr<int> DryRun(const Flags& flags, const Settings& settings) {
  fmt::print("{}", settings.Describe());
  std::fflush(stdout);
  for (const std::string& variable : settings.unknown_variables()) {
    fmt::print(stderr, "{}: no setting is called so\n", variable);
  }
  RETURN_IF_ERROR(RepositoryOptions(flags).status());
  std::vector<model::ModelDirectory> found;
  for (const std::string& name : flags.models) {
    ASSIGN_OR_RETURN(model::ModelDirectory model,
                     model::FindModel(name, flags.model_dir));
    found.push_back(std::move(model));
  }
  if (flags.models.empty()) found = model::ListModels(flags.model_dir);
  for (const model::ModelDirectory& model : found) {
    ASSIGN_OR_RETURN(const model::ModelFiles files,
                     model::ReadModelFiles(model.path, {.graph = false}));
    fmt::print(stderr, "{} version {}: {}\n", model.name, model.version,
               files.config.title);
  }
  serving::http::ServerOptions options;
  RETURN_IF_ERROR(SetUpAccess(flags.access, options).status());
  return 0;
}

serving::http::ServerOptions ServerOptionsOf(const Flags& flags) {
  serving::http::ServerOptions options;
  options.host = flags.host;
  options.port = static_cast<uint16_t>(flags.port);
  options.max_connections = flags.max_connections;
  options.max_body_bytes = uint64_t{1} * flags.max_body_mb << 20;
  options.max_upload_bytes = uint64_t{1} * flags.max_upload_mb << 20;
  options.header_timeout = Seconds(flags.header_timeout);
  options.body_timeout = Seconds(flags.body_timeout);
  options.idle_timeout = Seconds(flags.idle_timeout);
  options.request_timeout = Seconds(flags.request_timeout);
  options.drain_grace = Seconds(flags.grace);
  options.handle_signals = true;
  if (flags.admin_port >= 0) {
    options.serves = serving::http::Serves::kAllButAdministration;
  }
  return options;
}

// Of administration's own address, as of the other one where nothing else is said.
serving::http::ServerOptions AdminServerOptions(const Flags& flags,
                                                serving::http::ServerOptions options) {
  options.host = flags.admin_host;
  options.port = static_cast<uint16_t>(flags.admin_port);
  options.max_connections = 64;
  options.max_body_bytes = 1 << 20;
  options.max_upload_bytes = 8 << 20;
  options.drain_grace = std::chrono::seconds(1);
  options.handle_signals = false;
  options.serves = serving::http::Serves::kAdministration;
  return options;
}

// What the response cache holds, as metrics, for as long as the handles live.
std::vector<std::shared_ptr<void>> CacheGauges(
    serving::Metrics& metrics, const std::shared_ptr<serving::ResponseCache>& cache) {
  if (cache == nullptr) return {};
  return {metrics.AddGauge(
              "oriel_response_cache_bytes", "Bytes that the response cache holds",
              [cache] { return static_cast<double>(cache->statistics().bytes); }),
          metrics.AddGauge(
              "oriel_response_cache_entries", "Answers that the response cache holds",
              [cache] { return static_cast<double>(cache->statistics().entries); })};
}

absl::StatusOr<int> Run(const Flags& flags, const Settings& settings) {
  ASSIGN_OR_RETURN(serving::ModelRepositoryOptions repository_options,
                   RepositoryOptions(flags));
  std::optional<std::filesystem::path> web_dir;
  if (!flags.web_dir.empty()) web_dir = flags.web_dir;
  ASSIGN_OR_RETURN(const serving::http::Web web, serving::http::Web::Create(web_dir));

  serving::StartLog(LogSettingsOf(flags));
  for (const std::string& variable : settings.unknown_variables()) {
    spdlog::warn("{}: no setting is called so", variable);
  }
  RaiseDescriptorLimit(flags.max_connections + 256);
  serving::WorkerPool pool(
      flags.decode_threads > 0 ? flags.decode_threads : AvailableCpus(), flags.queue);
  std::shared_ptr<serving::ResponseCache> cache;
  if (flags.response_cache_mb > 0) {
    cache = std::make_shared<serving::ResponseCache>(uint64_t{1} * flags.response_cache_mb
                                                     << 20);
  }
  serving::ModelRepository models(
      std::move(repository_options),
      [&](const model::ModelDirectory& directory) {
        return Load(flags, directory, pool, cache);
      },
      serving::Clock::Real());
  serving::http::AppOptions app_options;
  app_options.top_k = flags.top_k;
  app_options.max_images = std::min<size_t>(app_options.max_images, flags.queue);
  app_options.note = flags.notice;
  serving::http::App app(models, pool, web, serving::Clock::Real(), app_options);

  const auto cache_gauges = CacheGauges(app.metrics, cache);

  serving::http::ServerOptions server_options = ServerOptionsOf(flags);
  ASSIGN_OR_RETURN(const auto access, SetUpAccess(flags.access, server_options));
  // The address is taken, and /healthz answers, before the model is read.
  ASSIGN_OR_RETURN(const auto server, serving::http::Server::Start(app, server_options));
  std::unique_ptr<serving::http::Server> admin;
  if (flags.admin_port >= 0) {
    auto started =
        serving::http::Server::Start(app, AdminServerOptions(flags, server_options));
    if (!started.ok()) {
      server->Drain();
      server->Wait();
      app.operations.Stop();
      return started.status();
    }
    admin = *std::move(started);
    spdlog::info("administration is at {}", admin->url());
  }

  const auto grpc = StartGrpc(flags, app, server_options);
  if (!grpc.ok()) {
    for (serving::http::Server* open : {server.get(), admin.get()}) {
      if (open == nullptr) continue;
      open->Drain();
      open->Wait();
    }
    app.operations.Stop();
    return grpc.status();
  }
  const auto& grpc_server = *grpc;

  models.Start();
  models.AwaitStarted();
  const absl::Status loaded =
      flags.load_on_demand ? absl::OkStatus() : NothingLoaded(models);
  if (!loaded.ok()) {
    server->Drain();
  } else if (!app.draining) {
    const auto model = models.Get({});
    fmt::print("Oriel serves {} at {}\n",
               model.ok() ? (*model)->session().config().title : "models on demand",
               server->url());
    if (grpc_server != nullptr) fmt::print("gRPC at {}\n", grpc_server->address());
    std::fflush(stdout);
  }
  server->Wait();
  if (grpc_server != nullptr) grpc_server->Wait();
  if (admin != nullptr) {
    admin->Drain();
    admin->Wait();
  }
  // Nobody waits for an answer any more; what is in work ends before its threads
  // and before the server that it would report to.
  models.Stop(serving::TimePoint::min());
  pool.Stop();
  app.operations.Stop();
  if (loaded.ok()) spdlog::info("stopped");
  serving::StopLog();
  if (!loaded.ok()) return loaded;
  return 0;
}

template <typename T>
T ValueOrFlagError(absl::StatusOr<T> value, const char* flag) {
  if (!value.ok()) throw CLI::ValidationError(flag, std::string(Message(value.status())));
  return *std::move(value);
}

void AddRepositoryOptions(CLI::App& command, const std::shared_ptr<Flags>& flags) {
  command
      .add_option_function<std::string>(
          "--version-policy",
          [flags](const std::string& text) {
            flags->version_policy =
                ValueOrFlagError(serving::ParseVersionPolicy(text), "--version-policy");
          },
          "Versions of a model that are loaded: latest, latest:N, all or specific:N,...")
      ->default_str("latest");
  command
      .add_option_function<std::vector<std::string>>(
          "--version-label",
          [flags](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              flags->version_labels.push_back(
                  ValueOrFlagError(serving::ParseVersionLabel(text), "--version-label"));
            }
          },
          "A name for a version, such as stable=3, or of one model, MODEL:stable=3")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--load-on-demand", flags->load_on_demand,
                   "Load nothing of --model-dir but the models named, until told to");
  command
      .add_option("--poll-interval", flags->poll_interval,
                  "Seconds between looks at the models' folders; 0: never")
      ->check(FiniteRange(0.0, 86400.0))
      ->capture_default_str();
}

}  // namespace

Action SetupServe(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command.add_option("model", flags->models,
                     "Names of exported models, or their directories; the first answers "
                     "who names none (default: all that are exported)");
  command.add_option("--model-dir", flags->model_dir, "Where exported models lie")
      ->capture_default_str();
  AddRepositoryOptions(command, flags);
  command
      .add_option("--host", flags->host,
                  "Address to listen at; 0.0.0.0 lets other machines in")
      ->capture_default_str();
  command.add_option("--port", flags->port, "Port; 0 takes any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      .add_option("--grpc-port", flags->grpc_port,
                  "Port of gRPC (default: 8001, with --port 0 any that is free); 0 takes "
                  "any that is free")
      ->check(CLI::Range(0, 65535));
  command.add_flag("--no-grpc", flags->no_grpc, "Serve HTTP alone");
  command
      .add_option("--grpc-max-message-mb", flags->grpc_max_message_mb,
                  "Largest message over gRPC, in MiB")
      ->check(CLI::Range(1, 2047))
      ->capture_default_str();
  command.add_option("--admin-host", flags->admin_host, "Address of --admin-port")
      ->capture_default_str();
  command
      .add_option("--admin-port", flags->admin_port,
                  "Serve metrics, and what changes the server, at this port alone")
      ->check(CLI::Range(0, 65535));
  command
      .add_option("--top-k", flags->top_k, "Labels of an answer, unless the client says")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--max-batch", flags->max_batch, "Images that run together at most")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--max-delay-us", flags->max_delay_us,
                  "How long a busy server may hold an image back for company, in "
                  "microseconds (default: by --mode)")
      ->check(CLI::Range(int64_t{0}, int64_t{10'000'000}));
  command
      .add_option("--mode", flags->mode,
                  "latency: every batch on all CPUs, none held back; throughput: a batch "
                  "on each CPU; auto: on all CPUs, in fuller batches while it is busy")
      ->check(CLI::IsMember({"latency", "throughput", "auto"}))
      ->capture_default_str();
  command
      .add_option("--workers", flags->workers,
                  "Batches that run at the same time (default: by --mode)")
      ->check(CLI::Range(1, 1024));
  command
      .add_option("--threads", flags->threads,
                  "Threads of one batch (default: the CPUs, shared among the workers)")
      ->check(CLI::Range(0, 4096));
  command.add_flag("--no-pin", flags->no_pin,
                   "Let several workers move between all CPUs; they keep to their own");
  AddPrecisionOption(command, flags->precision);
  AddPlanCacheOption(command, flags->plan_cache);
  command
      .add_option("--decode-threads", flags->decode_threads,
                  "Threads that decode and resize (default: the CPUs)")
      ->check(CLI::Range(0, 4096));
  command
      .add_option("--queue", flags->queue,
                  "Images in work at most, over all requests; beyond, 429")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command
      .add_option("--response-cache-mb", flags->response_cache_mb,
                  "Keep answers for images that come again, in so many MiB")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--max-body-mb", flags->max_body_mb, "Largest upload, in MiB")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-upload-mb", flags->max_upload_mb,
                  "All uploads in memory together, in MiB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-pixels", flags->max_pixels, "Pixels of an image at most")
      ->check(CLI::Range(1, 1 << 29))
      ->capture_default_str();
  command
      .add_option("--max-connections", flags->max_connections,
                  "Open connections at most; beyond, 503")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  const auto timeout = [&command](const char* name, double& value, const char* what) {
    command.add_option(name, value, what)
        ->check(FiniteRange(0.01, 86400.0))
        ->capture_default_str();
  };
  timeout("--header-timeout", flags->header_timeout,
          "Seconds for a request's headers to come");
  timeout("--body-timeout", flags->body_timeout,
          "Seconds for an upload, and one more for each 16 KiB");
  timeout("--idle-timeout", flags->idle_timeout,
          "Seconds that a connection may wait for its next request");
  timeout("--request-timeout", flags->request_timeout,
          "Seconds from upload to answer; beyond, 504");
  timeout("--grace", flags->grace,
          "Seconds to finish accepted requests after SIGTERM or Ctrl-C");
  AddAccessOptions(command, flags->access);
  command.add_option("--web-dir", flags->web_dir,
                     "Read the page's files from here each time, to work on them");
  command.add_option("--notice", flags->notice, "A sentence shown on the page");
  command
      .add_option("--log-level", flags->log_level,
                  "What is logged; at debug also what health checks ask")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  command.add_option("--log-format", flags->log_format, "Lines of text, or JSON objects")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command
      .add_option("--access-log", flags->access_log,
                  "Whether a line is logged for each request: on or off")
      ->default_str("on");
  auto settings = std::make_shared<Settings>(command, "ORIEL_SERVE_");
  return [flags, settings]() -> absl::StatusOr<int> {
    RETURN_IF_ERROR(settings->Apply());
    if (!settings->dry_run()) return Run(*flags, *settings);
    return DryRun(*flags, *settings);
  };
}

}  // namespace oriel::cli
