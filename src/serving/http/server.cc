#include "serving/http/server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <exception>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "serving/http/connection.h"

namespace oriel::serving::http {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

namespace {
constexpr auto kTuple = net::as_tuple(net::use_awaitable);
// Connections past the limit that are being told so.
constexpr size_t kMaxRefusals = 64;
}  // namespace

class Server::Impl {
 public:
  Impl(App& app, const ServerOptions& options)
      : options_(options),
        context_{.app = app,
                 .options = options_,
                 .uploads = std::make_shared<UploadBudget>(options.max_upload_bytes),
                 .request_prefix = fmt::format("{:08x}", std::random_device()())},
        acceptor_(io_),
        accept_pause_(io_),
        grace_(io_),
        signals_(io_),
        gauges_{app.metrics.AddGauge("oriel_open_connections", "Open connections",
                                     [this] { return static_cast<double>(count_); }),
                app.metrics.AddGauge("oriel_upload_bytes",
                                     "Bytes of uploads that are in memory",
                                     [uploads = context_.uploads] {
                                       return static_cast<double>(uploads->used());
                                     })} {}

  ~Impl() {
    // Only Start's own failures and Drain without Wait come here with a thread.
    if (thread_.joinable()) {
      net::post(io_, [this] {
        Drain();
        AbortAll();
      });
      thread_.join();
    }
  }

  absl::Status Listen() {
    const std::string where = fmt::format("{}:{}", options_.host, options_.port);
    error_code ec;
    tcp::resolver resolver(io_);
    const auto found =
        resolver.resolve(options_.host, std::to_string(options_.port),
                         tcp::resolver::passive | tcp::resolver::numeric_service, ec);
    if (ec) return InvalidArgument("{}: {}", where, ec.message());
    const tcp::endpoint endpoint = *found.begin();
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(net::socket_base::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(net::socket_base::max_listen_connections, ec);
    if (ec) return Unavailable("cannot listen at {}: {}", where, ec.message());
    endpoint_ = acceptor_.local_endpoint();
    return absl::OkStatus();
  }

  void Run() {
    net::co_spawn(io_, Accept(), net::detached);
    if (options_.handle_signals) {
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
      WaitForSignal();
    }
    thread_ = std::thread([this] { io_.run(); });
  }

  void RequestDrain() {
    net::post(io_, [this] { Drain(); });
  }

  void Join() {
    if (thread_.joinable()) thread_.join();
  }

  const tcp::endpoint& endpoint() const { return endpoint_; }
  size_t connections() const { return count_; }
  const ServerOptions& options() const { return options_; }

 private:
  void WaitForSignal() {
    signals_.async_wait([this](const error_code& ec, int number) {
      if (ec) return;
      if (context_.app.draining) ::_exit(128 + number);
      spdlog::info("{}: finishing what was accepted",
                   number == SIGINT ? "interrupted" : "asked to stop");
      WaitForSignal();
      Drain();
    });
  }

  net::awaitable<void> Accept() {
    while (acceptor_.is_open()) {
      auto [ec, socket] = co_await acceptor_.async_accept(kTuple);
      if (ec == net::error::operation_aborted || !acceptor_.is_open()) co_return;
      if (ec) {
        // Out of descriptors, most likely: trying again at once would spin.
        spdlog::warn("cannot accept a connection: {}", ec.message());
        accept_pause_.expires_after(std::chrono::milliseconds(100));
        co_await accept_pause_.async_wait(kTuple);
        continue;
      }
      Serve(std::move(socket));
    }
  }

  void Serve(tcp::socket socket) {
    if (live_.size() >= options_.max_connections + kMaxRefusals) return;
    const bool refuse = live_.size() >= options_.max_connections;
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto connection = std::make_shared<Connection>(std::move(socket), context_);
    live_.insert(connection);
    count_ = live_.size();
    net::co_spawn(io_, refuse ? connection->Refuse() : connection->Run(),
                  [this, connection](std::exception_ptr error) {
                    if (error) LogException(error);
                    connection->Abort();
                    live_.erase(connection);
                    count_ = live_.size();
                    FinishIfDone();
                  });
  }

  static void LogException(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      spdlog::error("a connection ended in an exception: {}", e.what());
    } catch (...) {
      spdlog::error("a connection ended in an unknown exception");
    }
  }

  void Drain() {
    context_.app.draining = true;
    if (std::exchange(draining_, true)) return;
    for (const auto& connection : live_) connection->CloseIfIdle();
    // Clients whose connection the system has accepted for us already are told 503
    // by what follows, rather than reset.
    error_code ec;
    acceptor_.non_blocking(true, ec);
    while (!ec) {
      tcp::socket socket(io_);
      acceptor_.accept(socket, ec);
      if (!ec) Serve(std::move(socket));
    }
    acceptor_.close(ec);
    accept_pause_.cancel();
    grace_.expires_after(options_.drain_grace);
    grace_.async_wait([this](const error_code& error) {
      if (error) return;
      spdlog::warn("{} connections did not finish in time", live_.size());
      AbortAll();
    });
    FinishIfDone();
  }

  void AbortAll() {
    for (const auto& connection : live_) connection->Abort();
  }

  void FinishIfDone() {
    if (!draining_ || !live_.empty()) return;
    error_code ignored;
    grace_.cancel();
    signals_.clear(ignored);  // from here on they end the process
    signals_.cancel(ignored);
  }

  const ServerOptions options_;
  // Everything below belongs to the I/O thread, and so dies before its context.
  net::io_context io_{1};
  ConnectionContext context_;
  tcp::acceptor acceptor_;
  tcp::endpoint endpoint_;
  net::steady_timer accept_pause_;
  net::steady_timer grace_;
  net::signal_set signals_;
  std::set<std::shared_ptr<Connection>> live_;
  bool draining_ = false;
  std::atomic<size_t> count_{0};
  const std::array<std::shared_ptr<void>, 2> gauges_;  // they read the above
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Start(App& app,
                                                      const ServerOptions& options) {
  auto impl = std::make_unique<Impl>(app, options);
  RETURN_IF_ERROR(impl->Listen());
  impl->Run();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->endpoint().port(); }

std::string Server::url() const {
  // As the user said it: "localhost" is nicer than "127.0.0.1".
  const std::string& host = impl_->options().host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", impl_->options().tls != nullptr ? "https" : "http",
                     v6 ? "[" : "", host, v6 ? "]" : "", port());
}

void Server::Drain() { impl_->RequestDrain(); }

void Server::Wait() { impl_->Join(); }

size_t Server::connections() const { return impl_->connections(); }

}  // namespace oriel::serving::http
