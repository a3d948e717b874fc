#include "serving/http/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <ctime>
#include <utility>

#include "base/utf8.h"
#include "serving/access_log.h"
#include "serving/http/body_sink.h"
#include "serving/http/content_coding.h"
#include "serving/http/cors.h"
#include "serving/http/head_check.h"
#include "serving/http/header_value.h"
#include "serving/http/request_head.h"
#include "serving/http/tls.h"

namespace oriel::serving::http {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
using beast::http::field;
using boost::system::error_code;

constexpr auto kTuple = net::as_tuple(net::use_awaitable);
constexpr size_t kReadSize = 64 << 10;
constexpr size_t kIdleReadSize = 512;
constexpr auto kDisconnectLook = std::chrono::milliseconds(200);
constexpr auto kCloseTlsTimeout = std::chrono::seconds(1);

// The page's own files, pictures that it made itself, nothing from elsewhere.
constexpr char kContentSecurityPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
    "blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'";

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm utc;
  gmtime_r(&now, &utc);
  char text[40];
  const size_t n = std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return std::string(text, n);
}

// A client's own id is taken over when it is harmless in logs and headers.
bool IsRequestId(std::string_view id) {
  if (id.empty() || id.size() > 64) return false;
  for (const char c : id) {
    const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    if (!ok) return false;
  }
  return true;
}

// What the client says of its trace, if it says one thing. Without an id of its own the
// request goes by the span that it comes from.
void TakeTrace(RequestHead& head) {
  const auto is_trace = [](const auto& header) {
    return EqualsIgnoringCase(header.first, "traceparent");
  };
  if (std::count_if(head.headers.begin(), head.headers.end(), is_trace) != 1) return;
  head.trace = ParseTraceparent(head.Header("traceparent"));
  if (head.id.empty() && head.trace.has_value()) {
    head.id = head.trace->trace_id + "-" + head.trace->parent_id;
  }
}

Problem ProblemFromRead(const error_code& ec) {
  if (ec == beast::http::error::header_limit ||
      ec == beast::http::error::buffer_overflow) {
    return {431, "the request's headers are too large"};
  }
  return {400, "the request is not valid HTTP/1.1"};
}

// GCC 12 destroys aggregates that are made inside a co_await or co_return twice, so
// these are made in functions.
std::optional<Problem> Refusal(int status, std::string reason) {
  return Problem{status, std::move(reason)};
}

// Nobody is there to be answered.
constexpr int kClientLeftStatus = 499;
std::optional<Problem> ClientLeft() { return Refusal(kClientLeftStatus, ""); }

// Smaller answers gain nothing.
constexpr size_t kLeastCompressed = 1 << 10;

// In the coding that the client likes best. Takes time: on the thread that answers.
void CompressAnswer(ContentCoding coding, Response& response) {
  if (coding == ContentCoding::kIdentity || response.body.size() < kLeastCompressed ||
      response.status != 200) {
    return;
  }
  const bool is_tagged =  // a tag is of one form of the bytes
      std::any_of(response.headers.begin(), response.headers.end(),
                  [](const auto& header) { return header.first == "ETag"; });
  if (is_tagged) return;
  response.body = Compress(coding, response.body);
  response.headers.emplace_back("Content-Encoding", ContentCodingName(coding));
  response.headers.emplace_back("Vary", "Accept-Encoding");
}

}  // namespace

struct Connection::Exchange {
  Request request;
  UploadLease lease;  // of the request's body
  const Route* route = nullptr;
  unsigned version = 11;
  bool keep_alive = false;
  bool expects_continue = false;
  // What metrics call it where no route was found.
  std::string_view kind = "malformed";
  uint64_t body_bytes = 0;

  Audience audience() const {
    return route != nullptr ? route->audience : Audience::kProgram;
  }
};

struct Connection::Mailbox {
  net::any_io_executor executor;
  // On the I/O thread only:
  std::function<void()> wake;  // empty: nobody waits any more
  bool answered = false;
  bool disconnected = false;
  std::optional<Response> response;

  void Wake() {
    if (wake) wake();
  }
};

Connection::Connection(net::ip::tcp::socket socket, ConnectionContext& context)
    : stream_(std::move(socket),
              context.options.tls != nullptr ? context.options.tls->current() : nullptr),
      context_(context),
      buffer_(context.options.max_header_bytes + 2 * kReadSize),
      timer_(stream_.get_executor()),
      answer_timer_(stream_.get_executor()),
      watch_timer_(stream_.get_executor()) {
  error_code ec;
  const auto peer = stream_.socket().remote_endpoint(ec);
  if (!ec) peer_ = peer.address().to_string();
}

void Connection::CloseIfIdle() {
  // What has come already is read, and told 503 rather than nothing.
  error_code ignored;
  if (idle_ && socket().available(ignored) == 0) socket().cancel(ignored);
}

void Connection::Abort() {
  error_code ignored;
  socket().close(ignored);
  timer_.cancel();
  answer_timer_.cancel();
  watch_timer_.cancel();
}

void Connection::Arm(Duration timeout) { ArmAt(TimePoint::clock::now() + timeout); }

void Connection::ArmAt(TimePoint deadline) {
  timed_out_ = false;
  timer_.expires_at(deadline);
  timer_.async_wait([self = shared_from_this()](const error_code& ec) {
    // A wait that had ended before it was armed anew comes late.
    if (ec || self->timer_.expiry() > TimePoint::clock::now()) return;
    self->timed_out_ = true;
    error_code ignored;
    self->socket().cancel(ignored);
  });
}

std::string Connection::NewRequestId() {
  return fmt::format("{}-{:x}", context_.request_prefix, ++context_.next_request);
}

net::awaitable<void> Connection::Run() {
  bool first = true;
  if (stream_.tls() != nullptr && !co_await Handshake()) {
    Abort();
    co_return;
  }
  while (true) {
    if (buffer_.size() == 0) {
      buffer_.shrink_to_fit();  // connections that idle cost next to nothing
      // A connection that was taken out of the backlog when draining began gets its
      // word in, if it has one.
      const auto timeout = context_.app.draining ? std::chrono::milliseconds(1000)
                           : first               ? context_.options.header_timeout
                                                 : context_.options.idle_timeout;
      idle_ = true;
      const bool readable = co_await WaitReadable(timeout);
      idle_ = false;
      if (!readable) break;
    }
    first = false;
    const bool more = co_await ServeOne();
    if (!more || !socket().is_open()) break;
    if (context_.app.draining && buffer_.size() == 0) break;
  }
  co_await CloseTls();
  Abort();
}

net::awaitable<bool> Connection::Handshake() {
  Arm(context_.options.header_timeout);
  const auto [ec] =
      co_await stream_.tls()->async_handshake(net::ssl::stream_base::server, kTuple);
  if (ec) spdlog::debug("a TLS handshake failed: {}", ec.message());
  co_return !ec;
}

net::awaitable<void> Connection::CloseTls() {
  if (stream_.tls() == nullptr || !socket().is_open() || timed_out_) co_return;
  Arm(kCloseTlsTimeout);
  co_await stream_.tls()->async_shutdown(kTuple);  // whatever came of it
}

net::awaitable<bool> Connection::WaitReadable(std::chrono::milliseconds timeout) {
  Arm(timeout);
  if (stream_.tls() != nullptr) {
    // What has come may lie in the TLS layer already: only reading tells.
    const auto [ec, n] =
        co_await stream_.async_read_some(buffer_.prepare(kIdleReadSize), kTuple);
    buffer_.commit(n);
    co_return !ec;
  }
  const auto [ec] = co_await socket().async_wait(net::socket_base::wait_read, kTuple);
  co_return !ec;
}

net::awaitable<void> Connection::Refuse() {
  // A handshake is what the server has no room for.
  if (stream_.tls() != nullptr) {
    Abort();
    co_return;
  }
  Exchange exchange;
  exchange.kind = "refused";
  exchange.request.head.id = NewRequestId();
  exchange.request.received = TimePoint::clock::now();
  const Problem problem = {503, "too many connections"};
  Response response =
      ErrorResponse(problem, exchange.request.head, Audience::kProgram, context_.app.web);
  co_await Write(exchange, std::move(response));
  co_await Linger();
  Abort();
}

net::awaitable<bool> Connection::ServeOne() {
  const ServerOptions& options = context_.options;
  const Metrics::InFlight in_flight(context_.app.metrics);
  Exchange exchange;
  Request& request = exchange.request;
  request.received = TimePoint::clock::now();

  HeadParser parser;
  parser.header_limit(static_cast<std::uint32_t>(options.max_header_bytes));
  parser.body_limit(boost::none);  // looked at below, to answer 413
  Arm(options.header_timeout);
  const auto [ec, n] =
      co_await beast::http::async_read_header(stream_, buffer_, parser, kTuple);
  const bool was_draining = context_.app.draining;
  std::optional<Problem> problem;
  if (timed_out_) {
    problem = Problem{408, "the request's headers did not come in time"};
  } else if (ec) {
    // The client left, between requests or within one: nobody to tell.
    if (ec == beast::http::error::end_of_stream ||
        ec == beast::http::error::partial_message ||
        ec.category() != make_error_code(beast::http::error::bad_method).category()) {
      co_return false;
    }
    problem = ProblemFromRead(ec);
  } else {
    request.head = MakeRequestHead(parser);
    const std::string_view sent_id = request.head.Header("x-request-id");
    if (IsRequestId(sent_id)) request.head.id = sent_id;
    TakeTrace(request.head);
    exchange.version = parser.get().version();
    if (const absl::Status status = CheckFraming(parser); !status.ok()) {
      problem = ProblemFrom(status);
    } else if (const absl::Status target = ParseTarget(
                   {parser.get().target().data(), parser.get().target().size()},
                   request.head);
               !target.ok()) {
      problem = ProblemFrom(target);
    }
  }
  if (request.head.id.empty()) request.head.id = NewRequestId();
  // What follows an unreadable request cannot be trusted to be one.
  const bool understood = !problem.has_value();
  if (understood) exchange.kind = "unknown";
  std::optional<Response> response;
  if (understood) {
    exchange.keep_alive = parser.get().keep_alive() && !was_draining;
    if (!options.cors.origins.empty() && parser.is_done() && IsPreflight(request.head)) {
      exchange.kind = "preflight";
      response = AnswerPreflight(options.cors, request.head);
    } else {
      problem =
          CheckHead(context_.app, options, peer_, parser, request.head, exchange.route);
    }
  }
  bool body_unread = understood && !parser.is_done();
  if (!problem.has_value() && body_unread) {
    exchange.expects_continue =
        exchange.version >= 11 && !request.head.Header("expect").empty();
    problem = co_await ReadBody(exchange, parser);
    if (!problem.has_value()) {
      body_unread = false;
    } else if (problem->status == kClientLeftStatus) {
      Record(exchange, kClientLeftStatus, 0);
      co_return false;
    } else {
      // Not held while the refusal is told.
      request.body = std::string();
      exchange.lease = UploadLease();
    }
  }
  request.upload = TimePoint::clock::now() - request.received;
  if (!problem.has_value() && !response.has_value()) {
    response = co_await Handle(exchange);
    if (!response.has_value()) co_return false;
  } else if (problem.has_value()) {
    response =
        ErrorResponse(*problem, request.head, exchange.audience(), context_.app.web);
    if (!understood || body_unread) exchange.keep_alive = false;
  }
  if (context_.app.draining && buffer_.size() == 0) exchange.keep_alive = false;
  const bool keep_alive = exchange.keep_alive;
  co_await Write(exchange, *std::move(response));
  if (!understood || body_unread) co_await Linger();
  co_return keep_alive&& socket().is_open() && !timed_out_;
}

template <typename Parser>
net::awaitable<std::optional<Problem>> Connection::ReadBody(Exchange& exchange,
                                                            Parser& head_parser) {
  const ServerOptions& options = context_.options;
  Request& request = exchange.request;
  exchange.lease = UploadLease(context_.uploads);

  const uint64_t length = head_parser.content_length().value_or(0);
  beast::http::request_parser<beast::http::buffer_body> parser(std::move(head_parser));
  parser.body_limit(options.max_body_bytes);
  BodySink sink(request, exchange.lease, length, options.max_body_bytes);
  if (auto refusal = sink.Begin()) co_return refusal;

  // A body that is here already was not held back.
  if (exchange.expects_continue && buffer_.size() == 0) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    Arm(options.write_timeout);
    const auto [ec, n] = co_await net::async_write(
        stream_, net::buffer(kContinue.data(), kContinue.size()), kTuple);
    if (ec) co_return ClientLeft();
  }
  const TimePoint begin = TimePoint::clock::now();
  const auto chunk = std::make_unique<char[]>(kReadSize);
  uint64_t received = 0;
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = chunk.get();
    body.size = kReadSize;
    body.more = true;
    ArmAt(begin + options.body_timeout +
          std::chrono::milliseconds(received * 1000 / options.min_bytes_per_second));
    const auto [ec, n] =
        co_await beast::http::async_read_some(stream_, buffer_, parser, kTuple);
    if (timed_out_) co_return Refusal(408, "the upload did not come in time");
    if (ec == beast::http::error::body_limit) {
      co_return Refusal(
          413, fmt::format("the upload has more than {} bytes", options.max_body_bytes));
    }
    if (ec && ec != beast::http::error::need_buffer) {
      const bool malformed =
          ec.category() == make_error_code(beast::http::error::bad_chunk).category() &&
          ec != beast::http::error::partial_message &&
          ec != beast::http::error::end_of_stream;
      if (!malformed) co_return ClientLeft();
      co_return ProblemFromRead(ec);
    }
    const std::string_view bytes(chunk.get(), kReadSize - body.size);
    if (bytes.empty()) continue;
    received += bytes.size();
    exchange.body_bytes = received;
    auto refusal = sink.Take(bytes);
    if (refusal.has_value()) co_return refusal;
  }
  co_return sink.Finish();
}

void Connection::WatchForDisconnect(std::shared_ptr<Mailbox> mailbox) {
  socket().async_wait(
      net::socket_base::wait_read,
      [self = shared_from_this(), mailbox = std::move(mailbox)](const error_code& ec) {
        if (!ec && mailbox->wake) self->LookForDisconnect(mailbox);
      });
}

void Connection::LookForDisconnect(std::shared_ptr<Mailbox> mailbox) {
  const int fd = socket().native_handle();
  char byte;
  const ssize_t n = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  bool gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  if (n > 0 && stream_.tls() == nullptr) return;  // the next request, which waits
  if (n > 0) {
    // Bytes are the next request, or TLS's own farewell, behind which the end may follow.
    pollfd p = {fd, POLLRDHUP, 0};
    gone = ::poll(&p, 1, 0) > 0;
    if (!gone) {
      watch_timer_.expires_after(kDisconnectLook);
      watch_timer_.async_wait([self = shared_from_this(),
                               mailbox = std::move(mailbox)](const error_code& ec) {
        if (!ec && mailbox->wake) self->LookForDisconnect(mailbox);
      });
      return;
    }
  }
  if (!gone) return;
  mailbox->disconnected = true;
  mailbox->Wake();
}

net::awaitable<std::optional<Response>> Connection::Handle(Exchange& exchange) {
  Request& request = exchange.request;
  auto mailbox = std::make_shared<Mailbox>();
  mailbox->executor = co_await net::this_coro::executor;
  mailbox->wake = [this] { answer_timer_.cancel(); };
  const auto cancellation = std::make_shared<Cancellation>();
  TimePoint deadline = TimePoint::clock::now() + context_.options.request_timeout;
  if (request.head.timeout.has_value()) {
    deadline = std::min(deadline, request.received + *request.head.timeout);
  }
  request.deadline = deadline;
  request.cancellation = cancellation;
  // The head stays here, for the log.
  Request handed;
  handed.head = request.head;
  handed.body = std::move(request.body);
  handed.form = std::move(request.form);
  handed.upload = request.upload;
  handed.received = request.received;
  handed.deadline = deadline;
  handed.cancellation = cancellation;
  const ContentCoding coding = ChooseCoding(request.head.Header("accept-encoding"));
  const auto post = [mailbox, coding](std::optional<Response> response) {
    if (response.has_value()) CompressAnswer(coding, *response);
    net::post(mailbox->executor, [mailbox, response = std::move(response)]() mutable {
      mailbox->answered = true;
      mailbox->response = std::move(response);
      mailbox->Wake();
    });
  };
  Responder responder(post, std::move(exchange.lease));
  timer_.cancel();
  try {
    exchange.route->handle(context_.app, std::move(handed), std::move(responder));
  } catch (const std::exception& error) {
    // The responder went with the stack and has answered for itself.
    spdlog::error("a handler threw: {} id={}", error.what(), request.head.id);
  }

  WatchForDisconnect(mailbox);
  while (!mailbox->answered && !mailbox->disconnected && socket().is_open() &&
         TimePoint::clock::now() < deadline) {
    answer_timer_.expires_at(deadline);
    co_await answer_timer_.async_wait(kTuple);
  }
  mailbox->wake = nullptr;
  watch_timer_.cancel();
  error_code ignored;
  socket().cancel(ignored);  // the watch
  if (mailbox->answered) {
    if (mailbox->response.has_value()) co_return std::move(mailbox->response);
    spdlog::error("a handler gave no answer: {} id={}", Printable(request.head.path),
                  request.head.id);
    const Problem problem = {500, "something went wrong in the server"};
    co_return ErrorResponse(problem, request.head, exchange.audience(), context_.app.web);
  }
  cancellation->Cancel();
  if (mailbox->disconnected || !socket().is_open()) {
    Record(exchange, kClientLeftStatus, 0);
    co_return std::nullopt;
  }
  const Problem late = {504, "no answer in time"};
  co_return ErrorResponse(late, request.head, exchange.audience(), context_.app.web);
}

net::awaitable<void> Connection::Write(Exchange& exchange, Response response) {
  const RequestHead& head = exchange.request.head;
  beast::http::response<beast::http::string_body> message;
  message.version(exchange.version);
  message.result(static_cast<unsigned>(response.status));
  message.reason(std::string(ReasonPhrase(response.status)));
  message.set(field::server, "Oriel");
  message.set(field::date, HttpDate());
  message.set("X-Request-Id", head.id);
  message.set(field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Referrer-Policy", "no-referrer");
  message.set("X-Frame-Options", "DENY");
  message.set("Cross-Origin-Resource-Policy", "same-origin");
  message.set("Content-Security-Policy", kContentSecurityPolicy);
  if (!response.content_type.empty()) {
    message.set(field::content_type, response.content_type);
  }
  AddCorsHeaders(context_.options.cors, head, response.headers);
  for (const auto& [name, value] : response.headers) {
    if (name == "Vary") {
      message.insert(name, value);
    } else {
      message.set(name, value);
    }
  }
  message.keep_alive(exchange.keep_alive);
  const size_t body_bytes = response.body.size();
  if (response.status != 304 && response.status != 204) {
    message.content_length(body_bytes);
  }
  if (head.method != Method::kHead) message.body() = std::move(response.body);
  Arm(context_.options.write_timeout +
      std::chrono::milliseconds(body_bytes * 1000 /
                                context_.options.min_bytes_per_second));
  beast::http::response_serializer<beast::http::string_body> serializer(message);
  const auto [ec, n] = co_await beast::http::async_write(stream_, serializer, kTuple);
  if (ec) {
    error_code ignored;
    socket().close(ignored);
  }
  Record(exchange, response.status, n, response.inference);
}

void Connection::Record(const Exchange& exchange, int status, uint64_t bytes_out,
                        const std::optional<InferenceReport>& inference) {
  const RequestHead& head = exchange.request.head;
  const Route* route = exchange.route;
  const fmt::format_int status_text(status);
  AccessRecord record;
  record.metrics.protocol = route == nullptr ? "http" : ProtocolOf(*route);
  record.metrics.route = route == nullptr ? exchange.kind : route->path;
  record.metrics.status = {status_text.data(), status_text.size()};
  record.metrics.duration = TimePoint::clock::now() - exchange.request.received;
  record.metrics.bytes_in = exchange.body_bytes;
  record.metrics.bytes_out = bytes_out;
  record.method = head.method_name;
  record.path = head.path;
  record.request_id = head.id;
  record.client = head.client.empty() ? peer_ : head.client;
  record.trace = head.trace;
  record.upload = exchange.request.upload;
  record.is_probe = route != nullptr && route->is_probe;
  record.inference = inference;
  RecordAccess(context_.app.metrics, record);
}

// Closing while the client still sends would make its system throw away our
// answer: what comes is read and dropped until the client closes or time is up.
net::awaitable<void> Connection::Linger() {
  co_await CloseTls();
  error_code ignored;
  socket().shutdown(net::socket_base::shutdown_send, ignored);
  if (ignored) co_return;
  const auto chunk = std::make_unique<char[]>(kReadSize);
  Arm(context_.options.linger);
  while (!timed_out_) {
    const auto [ec, n] =
        co_await socket().async_read_some(net::buffer(chunk.get(), kReadSize), kTuple);
    if (ec) break;
  }
}

}  // namespace oriel::serving::http
