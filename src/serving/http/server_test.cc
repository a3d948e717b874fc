// The protocol: what hostile, broken, slow and too many clients get, and how the
// server stops.
#include "serving/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

// --- borders between messages ---

TEST_F(ServerTest, KeepsConnectionsAlive) {
  StartServer();
  TestClient client(port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.Ask(Post("/api/classify", FakeImage(i))).status, 200);
    // An error whose request was read whole does not end it either.
    EXPECT_EQ(client.Ask(Get("/nothing")).status, 404);
    EXPECT_EQ(client.Ask(Post("/api/classify", "text")).status, 415);
  }
  const TestResponse last = client.Ask(Get("/healthz", "Connection: close\r\n"));
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.Header("connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, Http10) {
  StartServer();
  TestClient plain(port());
  const TestResponse response = plain.Ask("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.status_line, StartsWith("HTTP/1.0 "));
  EXPECT_TRUE(plain.AwaitEnd());
  TestClient kept(port());
  const std::string ask = "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  EXPECT_EQ(kept.Ask(ask).Header("connection"), "keep-alive");
  EXPECT_EQ(kept.Ask(ask).status, 200);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  StartServer();
  TestClient client(port());
  std::string all;
  for (int i = 0; i < 10; ++i) all += Post("/api/classify", FakeImage(i));
  client.Send(all + Get("/nothing"));
  for (int i = 0; i < 10; ++i) {
    const TestResponse response = client.Receive();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(boost::json::parse(response.body)
                  .at("images")
                  .at(0)
                  .at("predictions")
                  .at(0)
                  .at("index")
                  .as_int64(),
              i);
  }
  EXPECT_EQ(client.Receive().status, 404);
}

TEST_F(ServerTest, ChunkedBodies) {
  StartServer();
  const std::string head =
      "POST /api/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  TestClient client(port());
  EXPECT_EQ(client
                .Ask(head + "4\r\n\x89PNG\r\n" + "5;x=y\r\n\r\n\x1a\n" + "7" +
                     "\r\n0\r\nTrailer: x\r\n\r\n")
                .status,
            200);
  EXPECT_EQ(client.Ask(Get("/healthz")).status, 200);
  EXPECT_EQ(client.Ask(head + "zz\r\n").status, 400);
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, RefusesWhatCanBeReadInTwoWays) {
  StartServer();
  const std::string post = "POST /api/classify HTTP/1.1\r\nHost: a\r\n";
  const std::string bad[] = {
      // lengths
      post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nGET /",
      post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nGET /",
      post + "Content-Length: 5, 5\r\n\r\nGET /",
      post + "Content-Length: +5\r\n\r\nGET /", post + "Content-Length: -1\r\n\r\n",
      post + "Content-Length: 0x5\r\n\r\nGET /",
      post + "Content-Length: 5 5\r\n\r\nGET /",
      post + "Content-Length: 99999999999999999999999\r\n\r\n",
      post + "Content-Length:\r\n\r\n",
      // a length and a coding, either way round
      post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      // codings
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: identity\r\n\r\n",
      post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
      post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      post +
          "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
      "POST /api/classify HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      // chunks
      post + "Transfer-Encoding: chunked\r\n\r\n5\nGET /\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nGET /\r\n0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n5\r\nGET /XX0\r\n\r\n",
      post + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nGET /\r\n0\r\n\r\n",
      // lines that end in LF alone, or in CR alone
      "GET /healthz HTTP/1.1\nHost: a\n\n", "GET /healthz HTTP/1.1\r\nHost: a\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
      // hosts
      "GET /healthz HTTP/1.1\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
      // lines and names
      "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /heal thz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /healthz\r\nHost: a\r\n\r\n",
      "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
      "GET /healthz HTTP/1.1x\r\nHost: a\r\n\r\n",
      " GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\nX\x01: y\r\n\r\n",
      "GET /healthz HTTP/1.1\r\nHost: a\r\nX: y" + std::string(1, '\0') + "z\r\n\r\n",
      "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
      "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x16\x03\x01\x02\x01\x01\r\n\r\n",  // TLS
  };
  for (const std::string& bytes : bad) {
    SCOPED_TRACE(testing::PrintToString(bytes));
    TestClient client(port());
    // A second request behind it: nothing of it may be answered.
    client.Send(bytes);
    client.Send(Get("/readyz"));
    client.FinishSending();
    const TestResponse response = client.Receive();
    EXPECT_EQ(response.status, 400);
    // HTTP/1.0 closes unless told otherwise.
    if (response.status_line.starts_with("HTTP/1.1")) {
      EXPECT_EQ(response.Header("connection"), "close");
    }
    EXPECT_TRUE(client.AwaitEnd());
  }
  EXPECT_EQ(session_->runs(), warm_up_runs_);
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
}

TEST_F(ServerTest, AbsoluteTargetsAsProxiesSendThem) {
  StartServer();
  EXPECT_EQ(Ask(Get("http://test/healthz")).status, 200);
  EXPECT_EQ(Ask(Get("http://test")).status, 200);
  EXPECT_EQ(Ask(Get("/%68ealthz?a=%20b")).status, 200);
}

TEST_F(ServerTest, GetWithABodyIsRefused) {
  StartServer();
  TestClient client(port());
  EXPECT_EQ(client.Ask("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
                .status,
            400);
  EXPECT_TRUE(client.AwaitEnd());
}

// --- sizes ---

TEST_F(ServerTest, PostWithoutLengthIs411) {
  StartServer();
  ExpectJsonError(Ask("POST /api/classify HTTP/1.1\r\nHost: a\r\n\r\n"), 411);
}

TEST_F(ServerTest, TooLargeByItsLengthIsRefusedBeforeItComes) {
  options_.max_body_bytes = 1000;
  StartServer();
  TestClient client(port());
  client.Send("POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
  const TestResponse response = client.Receive();
  ExpectJsonError(response, 413);
  EXPECT_EQ(response.Header("connection"), "close");
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1, 1000 - 9))).status, 200);
}

TEST_F(ServerTest, ClientThatSendsAllBeforeItReadsStillSees413) {
  options_.max_body_bytes = 1000;
  StartServer();
  TestClient client(port());
  // More than the socket buffers hold: without lingering this would be a reset.
  const std::string body(16 << 20, 'x');
  EXPECT_TRUE(client.Send(Post("/api/classify", body)));
  ExpectJsonError(client.Receive(), 413);
}

TEST_F(ServerTest, ChunkedBodyOverTheLimitIs413) {
  options_.max_body_bytes = 1000;
  StartServer();
  TestClient client(port());
  client.Send(
      "POST /api/classify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1f4\r\n" + std::string(500, 'x') + "\r\n";
  client.Send(chunk + chunk);
  EXPECT_FALSE(client.Readable(50));
  client.Send(chunk);
  ExpectJsonError(client.Receive(), 413);
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, HugeHeadersAre431) {
  StartServer();
  TestClient client(port());
  client.Send("GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + std::string(20'000, 'x') +
              "\r\n\r\n");
  EXPECT_EQ(client.Receive().status, 431);
  EXPECT_TRUE(client.AwaitEnd());
  std::string many = "GET /healthz HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 5000; ++i) many += "A: b\r\n";
  EXPECT_EQ(Ask(many + "\r\n").status, 431);
  EXPECT_EQ(Ask("GET /" + std::string(20'000, 'x')).status, 431);
}

TEST_F(ServerTest, MalformedFormsAre400AndOversizedOnes413) {
  StartServer();
  for (const char* target : {"/", "/api/classify"}) {
    EXPECT_EQ(Ask(Post(target, "no form", kFormHeader)).status, 400);
    EXPECT_EQ(Ask(Post(target, "--xx\r\nContent-Disposition", kFormHeader)).status, 400);
    EXPECT_EQ(Ask(Post(target, "--xx--", "Content-Type: multipart/form-data\r\n")).status,
              400);
  }
  std::string parts;
  for (int i = 0; i < 100; ++i) parts += FormFile("f", "x", "");
  EXPECT_EQ(Ask(PostForm("/api/classify", parts)).status, 413);
}

TEST_F(ServerTest, UploadsOfAllClientsTogetherAreBounded) {
  options_.max_upload_bytes = 1000;
  StartServer();
  session_->preprocess_gate().Close();
  TestClient first(port());
  first.Send(Post("/api/classify", FakeImage(1, 600)));
  session_->preprocess_gate().AwaitArrived(1);
  const TestResponse second = Ask(Post("/api/classify", FakeImage(2, 600)));
  ExpectJsonError(second, 429);
  EXPECT_NE(second.Header("retry-after"), "");
  session_->preprocess_gate().Open();
  EXPECT_EQ(first.Receive().status, 200);
  // What ended has given its share back.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Ask(Post("/api/classify", FakeImage(3, 600))).status, 200);
  }
}

// --- Expect ---

TEST_F(ServerTest, Expect100Continue) {
  StartServer();
  TestClient client(port());
  const std::string image = FakeImage(5);
  client.Send(
      fmt::format("POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: "
                  "{}\r\nExpect: 100-Continue\r\n\r\n",
                  image.size()));
  const TestResponse go = client.Receive();
  EXPECT_EQ(go.status, 100);
  EXPECT_EQ(client.Ask(image).status, 200);
  EXPECT_EQ(client.Ask(Get("/healthz")).status, 200);
}

TEST_F(ServerTest, ExpectIsAnsweredWithTheRefusalBeforeTheBody) {
  options_.max_body_bytes = 1000;
  StartServer();
  const auto ask = [&](const char* target, const char* headers) {
    TestClient client(port());
    client.Send(fmt::format("POST {} HTTP/1.1\r\nHost: a\r\n{}\r\n", target, headers));
    const TestResponse response = client.Receive();
    EXPECT_TRUE(client.AwaitEnd());
    return response.status;
  };
  const char* target = "/api/classify";
  EXPECT_EQ(ask(target, "Content-Length: 1001\r\nExpect: 100-continue\r\n"), 413);
  EXPECT_EQ(ask(target, "Content-Length: 10\r\nExpect: a-pony\r\n"), 417);
  EXPECT_EQ(ask("/nothing", "Content-Length: 10\r\nExpect: 100-continue\r\n"), 404);
  EXPECT_EQ(
      ask(target,
          "Content-Length: 9\r\nContent-Type: text/css\r\nExpect: 100-continue\r\n"),
      415);
}

// --- slow and vanishing clients ---

TEST_F(ServerTest, SlowHeadersAre408) {
  options_.header_timeout = milliseconds(100);
  StartServer();
  TestClient client(port());
  // Each byte comes in time, the whole does not.
  const std::string head = Get("/healthz");
  for (size_t i = 0; i < head.size() - 1 && !client.Readable(20); ++i) {
    client.Send(head.substr(i, 1));
  }
  EXPECT_EQ(client.Receive().status, 408);
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, SlowBodiesAre408) {
  options_.body_timeout = milliseconds(100);
  StartServer();
  TestClient client(port());
  client.Send("POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  for (int i = 0; i < 99 && !client.Readable(20); ++i) client.Send("x");
  ExpectJsonError(client.Receive(), 408);
  EXPECT_TRUE(client.AwaitEnd());
}

TEST_F(ServerTest, SteadyUploadsMayTakeLongerThanTheTimeout) {
  options_.body_timeout = milliseconds(150);
  options_.min_bytes_per_second = 1000;
  StartServer();
  TestClient client(port());
  const std::string image = FakeImage(5, 1000);
  client.Send(
      fmt::format("POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
                  image.size()));
  for (size_t i = 0; i < image.size(); i += 100) {
    ASSERT_FALSE(client.Readable(30)) << i;
    client.Send(std::string_view(image).substr(i, 100));
  }
  EXPECT_EQ(client.Receive().status, 200);
}

TEST_F(ServerTest, IdleConnectionsAreClosedWithoutAWord) {
  options_.header_timeout = milliseconds(50);
  options_.idle_timeout = milliseconds(50);
  StartServer();
  TestClient silent(port());
  EXPECT_TRUE(silent.AwaitEnd());
  TestClient kept(port());
  EXPECT_EQ(kept.Ask(Get("/healthz")).status, 200);
  EXPECT_TRUE(kept.AwaitEnd());
}

TEST_F(ServerTest, ClientsThatDoNotReadAreDropped) {
  options_.write_timeout = milliseconds(100);
  options_.min_bytes_per_second = 1 << 30;
  StartServer();
  TestClient client(port());
  // Answers of some 20 MB that nobody takes.
  const std::string image = FakeImage(1, 8 << 20);
  client.Send(PostForm("/", FormFile("file", "a.png", image)));
  client.Send(PostForm("/", FormFile("file", "a.png", image)));
  while (server_->connections() > 0) std::this_thread::sleep_for(milliseconds(5));
}

TEST_F(ServerTest, TruncatedUploadsCostNothing) {
  StartServer();
  const std::string whole = Post("/api/classify", FakeImage(5));
  for (size_t n = 0; n < whole.size(); ++n) {
    TestClient client(port());
    client.Send(std::string_view(whole).substr(0, n));
    client.FinishSending();
    EXPECT_TRUE(client.AwaitEnd()) << n;
  }
  EXPECT_EQ(session_->runs(), warm_up_runs_);
  EXPECT_EQ(Ask(whole).status, 200);
}

TEST_F(ServerTest, ClientThatLeavesIsDroppedBeforeTheNetwork) {
  StartServer();
  session_->preprocess_gate().Close();
  {
    TestClient client(port());
    client.Send(Post("/api/classify", FakeImage(5)));
    session_->preprocess_gate().AwaitArrived(1);
  }
  while (server_->connections() > 0) std::this_thread::sleep_for(milliseconds(1));
  session_->preprocess_gate().Open();
  while (pending() > 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(ServerTest, AnswerThatTakesTooLongIs504) {
  options_.request_timeout = milliseconds(100);
  StartServer();
  session_->run_gate().Close();
  TestClient client(port());
  ExpectJsonError(client.Ask(Post("/api/classify", FakeImage(5))), 504);
  session_->run_gate().Open();
  EXPECT_EQ(client.Ask(Post("/api/classify", FakeImage(6))).status, 200);
}

// --- too many ---

TEST_F(ServerTest, OverloadIs429BeforeTheBodyIsRead) {
  model_options_.max_pending = 2;
  StartServer();
  session_->run_gate().Close();
  TestClient a(port()), b(port());
  a.Send(Post("/api/classify", FakeImage(1)));
  b.Send(Post("/api/classify", FakeImage(2)));
  while (pending() < 2) std::this_thread::sleep_for(milliseconds(1));
  TestClient c(port());
  c.Send("POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
  const TestResponse refused = c.Receive();
  ExpectJsonError(refused, 429);
  EXPECT_EQ(refused.Header("retry-after"), "1");
  const TestResponse page = Ask(PostForm("/", FormFile("file", "a.png", FakeImage(3))));
  EXPECT_EQ(page.status, 429);
  EXPECT_EQ(page.Header("content-type"), "text/html; charset=utf-8");
  // The rest of the server is as quick as ever.
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
  session_->run_gate().Open();
  EXPECT_EQ(a.Receive().status, 200);
  EXPECT_EQ(b.Receive().status, 200);
}

TEST_F(ServerTest, TooManyConnectionsAreTold503) {
  options_.max_connections = 2;
  StartServer();
  TestClient a(port()), b(port());
  EXPECT_EQ(a.Ask(Get("/healthz")).status, 200);
  EXPECT_EQ(b.Ask(Get("/healthz")).status, 200);
  {
    TestClient c(port());
    const TestResponse refused = c.Receive();
    ExpectJsonError(refused, 503);
    EXPECT_NE(refused.Header("retry-after"), "");
  }
  a.Close();
  while (server_->connections() > 1) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
}

// --- the end ---

TEST_F(ServerTest, DrainFinishesWhatWasAccepted) {
  StartServer();
  const uint16_t old_port = port();
  session_->run_gate().Close();
  TestClient busy(port()), idle(port()), half(port());
  EXPECT_EQ(idle.Ask(Get("/healthz")).status, 200);
  busy.Send(Post("/api/classify", FakeImage(4)));
  half.Send("POST /api/classify HTTP/1.1\r\n");
  while (pending() < 1) std::this_thread::sleep_for(milliseconds(1));
  while (server_->connections() < 3) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(half.Readable(20), false);  // its first bytes are read
  server_->Drain();
  EXPECT_TRUE(idle.AwaitEnd());
  // A request whose headers were not complete yet.
  half.Send("Host: a\r\nContent-Length: 9\r\n\r\n");
  const TestResponse late = half.Receive();
  ExpectJsonError(late, 503);
  EXPECT_NE(late.Header("retry-after"), "");
  EXPECT_TRUE(half.AwaitEnd());
  EXPECT_FALSE(TestClient(old_port).connected());
  session_->run_gate().Open();
  const TestResponse response = busy.Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("connection"), "close");
  EXPECT_TRUE(busy.AwaitEnd());
  server_->Wait();
}

TEST_F(ServerTest, DrainEndsWithItsGrace) {
  options_.drain_grace = milliseconds(100);
  StartServer();
  session_->run_gate().Close();
  TestClient busy(port());
  busy.Send(Post("/api/classify", FakeImage(4)));
  while (pending() < 1) std::this_thread::sleep_for(milliseconds(1));
  server_->Drain();
  server_->Wait();
  EXPECT_EQ(busy.Receive().status, 0);
}

TEST_F(ServerTest, SignalsDrain) {
  options_.handle_signals = true;
  StartServer();
  session_->run_gate().Close();
  TestClient busy(port());
  busy.Send(Post("/api/classify", FakeImage(4)));
  while (pending() < 1) std::this_thread::sleep_for(milliseconds(1));
  ::kill(::getpid(), SIGTERM);
  while (!app_->draining) std::this_thread::sleep_for(milliseconds(1));
  session_->run_gate().Open();
  EXPECT_EQ(busy.Receive().status, 200);
  server_->Wait();
}

TEST_F(ServerTest, SignalEndsAnIdleServer) {
  options_.handle_signals = true;
  StartServer();
  ::kill(::getpid(), SIGINT);
  server_->Wait();
}

TEST_F(ServerTest, TwoServersCannotHaveOnePort) {
  StartServer();
  ServerOptions same;
  same.port = port();
  const auto second = Server::Start(*app_, same);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(second.status())),
              HasSubstr(fmt::format("127.0.0.1:{}", port())));
}

TEST_F(ServerTest, UrlHasThePortThatWasFree) {
  StartServer();
  EXPECT_EQ(server_->url(), fmt::format("http://127.0.0.1:{}", port()));
  EXPECT_NE(port(), 0);
}

}  // namespace
}  // namespace oriel::serving::http
