// One client's connection: reads requests one after the other, refuses what is
// malformed, too large or too slow, hands the rest to its route, writes answers.
// Private to the server.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "serving/http/app.h"
#include "serving/http/message.h"
#include "serving/http/problem.h"
#include "serving/http/router.h"
#include "serving/http/server.h"
#include "serving/http/stream.h"

namespace oriel::serving::http {

// What all connections of a server share.
struct ConnectionContext {
  App& app;
  const ServerOptions& options;
  std::shared_ptr<UploadBudget> uploads;
  std::atomic<uint64_t> next_request{0};
  std::string request_prefix;  // makes ids differ between processes
};

// Everything runs on the I/O thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, ConnectionContext& context);

  // Serves until the connection ends. The caller keeps a reference meanwhile.
  boost::asio::awaitable<void> Run();
  // Says 503 and closes, without reading anything.
  boost::asio::awaitable<void> Refuse();

  // Closes the connection when it waits for a request.
  void CloseIfIdle();
  // Closes it whatever it does.
  void Abort();

 private:
  // One request and what becomes of it.
  struct Exchange;
  // The answer on its way from a worker to this thread.
  struct Mailbox;

  // False: the connection ends.
  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> Handshake();
  // Tells the client that nothing follows, and waits a moment for its word.
  boost::asio::awaitable<void> CloseTls();
  boost::asio::awaitable<bool> WaitReadable(std::chrono::milliseconds timeout);
  template <typename Parser>
  boost::asio::awaitable<std::optional<Problem>> ReadBody(Exchange& exchange,
                                                          Parser& parser);
  boost::asio::awaitable<std::optional<Response>> Handle(Exchange& exchange);
  boost::asio::awaitable<void> Write(Exchange& exchange, Response response);
  boost::asio::awaitable<void> Linger();
  // Into the access log and the metrics. `status`: 499 for a client that left.
  void Record(const Exchange& exchange, int status, uint64_t bytes_out,
              const std::optional<InferenceReport>& inference = std::nullopt);
  void WatchForDisconnect(std::shared_ptr<Mailbox> mailbox);
  void LookForDisconnect(std::shared_ptr<Mailbox> mailbox);

  void Arm(Duration timeout);  // socket operations end when it passes
  void ArmAt(TimePoint deadline);
  std::string NewRequestId();
  boost::asio::ip::tcp::socket& socket() { return stream_.socket(); }

  Stream stream_;
  std::string peer_;  // address
  ConnectionContext& context_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer timer_;         // of reads and writes
  boost::asio::steady_timer answer_timer_;  // of the answer
  boost::asio::steady_timer watch_timer_;   // of looks for a client that left
  bool timed_out_ = false;
  bool idle_ = false;
};

}  // namespace oriel::serving::http
