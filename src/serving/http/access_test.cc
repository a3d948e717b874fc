// Over sockets: API keys, rates, other origins, compressed bodies.
#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <filesystem>

#include "serving/gatekeeper.h"
#include "serving/http/content_coding.h"
#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;
using testing::Not;

class KeysTest : public ServerTest {
 protected:
  void StartWithKeys(std::optional<RateLimit> rate = std::nullopt) {
    const auto path = keys_.path() / "keys";
    ASSERT_OK(
        WriteFileAtomically(path, ApiKeyLine(Access::kUse, "shop", "use-key") + "\n" +
                                      ApiKeyLine(Access::kAdmin, "me", "root-key")));
    std::filesystem::permissions(path, std::filesystem::perms{0600});
    ASSERT_OK_AND_ASSIGN(
        gatekeeper_,
        Gatekeeper::Create({.api_keys = path, .rate_limit = rate}, Clock::Real()));
    options_.gatekeeper = gatekeeper_.get();
    StartServer();
  }
  int Status(const std::string& request) { return Ask(request).status; }

  TemporaryDirectory keys_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
};

constexpr char kBearer[] = "Authorization: Bearer use-key\r\n";

TEST_F(KeysTest, CallsNeedAKey) {
  StartWithKeys();
  for (const std::string& request :
       {Post("/api/classify", FakeImage(1)), Get("/api/models"), Get("/v1/models/fake"),
        Get("/v2/models/fake"), Post("/v2/repository/models/fake/load", ""),
        Post("/api/classify", FakeImage(1), "Authorization: Bearer \r\n"),
        Post("/api/classify", FakeImage(1), "X-API-Key: USE-KEY\r\n"),
        Post("/api/classify", FakeImage(1), "Authorization: use-key\r\n"),
        Post("/api/classify?key=use-key", FakeImage(1))}) {
    const TestResponse response = Ask(request);
    ExpectJsonError(response, 401);
    EXPECT_EQ(response.Header("www-authenticate"), "Bearer realm=\"Oriel\"");
  }
  EXPECT_EQ(session_->runs(), warm_up_runs_);
  for (const char* header :
       {kBearer, "X-API-Key: use-key\r\n", "authorization: bearer   use-key\r\n",
        "Authorization: Basic YW55Ym9keTp1c2Uta2V5\r\n"}) {  // anybody:use-key
    EXPECT_EQ(Status(Post("/api/classify", FakeImage(1), header)), 200) << header;
    EXPECT_EQ(Status(Get("/v2/models/fake", header)), 200) << header;
  }
}

TEST_F(KeysTest, HealthAndThePagesFilesNeedNone) {
  StartWithKeys();
  for (const char* path : {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready",
                           "/style.css", "/script.js"}) {
    EXPECT_EQ(Status(Get(path)), 200) << path;
  }
  EXPECT_EQ(Status(Get("/nothing")), 404);
}

TEST_F(KeysTest, PeopleAreAskedForTheirKey) {
  StartWithKeys();
  const TestResponse response = Ask(Get("/", "Accept: text/html\r\n"));
  EXPECT_EQ(response.status, 401);
  EXPECT_THAT(response.Header("www-authenticate"), HasSubstr("Basic "));
  EXPECT_THAT(response.body, HasSubstr("needs an API key"));
  EXPECT_EQ(Status(Get("/", "Authorization: Basic OnVzZS1rZXk=\r\n")), 200);  // :use-key
}

TEST_F(KeysTest, AdministrationNeedsItsOwn) {
  StartWithKeys();
  const char* load = "/v2/repository/models/fake/load";
  ExpectJsonError(Ask(Post(load, "", kBearer)), 403);
  EXPECT_EQ(Status(Post(load, "", "X-API-Key: root-key\r\n")), 200);
  EXPECT_EQ(Status(Post("/api/classify", FakeImage(1), "X-API-Key: root-key\r\n")), 200);
  // What a browser sends by itself does not count: me:root-key
  EXPECT_EQ(Status(Post(load, "", "Authorization: Basic bWU6cm9vdC1rZXk=\r\n")), 401);
}

TEST_F(KeysTest, ARefusedUploadIsNotRead) {
  StartWithKeys();
  TestClient client(port());
  const TestResponse response = client.Ask(
      "POST /api/classify HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.Header("connection"), "close");
}

TEST_F(KeysTest, RatesAreByKey) {
  StartWithKeys(RateLimit{.per_second = 0.001, .burst = 2});
  EXPECT_EQ(Status(Get("/api/models", kBearer)), 200);
  EXPECT_EQ(Status(Get("/api/models", kBearer)), 200);
  const TestResponse late = Ask(Get("/api/models", kBearer));
  ExpectJsonError(late, 429);
  EXPECT_GT(std::stoi(late.Header("retry-after")), 900);
  EXPECT_EQ(Status(Get("/api/models", "X-API-Key: root-key\r\n")), 200);
  EXPECT_EQ(Status(Get("/healthz")), 200);
}

TEST_F(KeysTest, RatesWithoutKeysAreByAddress) {
  ASSERT_OK_AND_ASSIGN(
      gatekeeper_,
      Gatekeeper::Create({.rate_limit = RateLimit{0.001, 1}}, Clock::Real()));
  options_.gatekeeper = gatekeeper_.get();
  options_.trusted_proxies = {*Network::Parse("127.0.0.0/8")};
  StartServer();
  const auto from = [&](const char* address) {
    return Status(Get("/api/models", fmt::format("X-Forwarded-For: {}\r\n", address)));
  };
  EXPECT_EQ(from("192.0.2.1"), 200);
  EXPECT_EQ(from("192.0.2.1"), 429);
  EXPECT_EQ(from("192.0.2.2"), 200);
  EXPECT_EQ(from("192.0.2.3, 192.0.2.1"), 429);
}

// --- what a request may ask for ---

TEST_F(ServerTest, RequestsMaySayHowLongTheyWait) {
  session_->preprocess_gate().Close();
  StartServer();
  const TimePoint begin = TimePoint::clock::now();
  ExpectJsonError(
      Ask(Post("/api/classify", FakeImage(1), "X-Request-Timeout-Ms: 50\r\n")), 504);
  EXPECT_LT(TimePoint::clock::now() - begin, options_.request_timeout / 2);
  session_->preprocess_gate().Open();
  EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1),
                     "X-Request-Timeout-Ms: 50000\r\n"
                     "X-Request-Priority: 10\r\n"))
                .status,
            200);
  for (const char* header :
       {"X-Request-Timeout-Ms: 0", "X-Request-Timeout-Ms: 1.5",
        "X-Request-Timeout-Ms: soon", "X-Request-Timeout-Ms:", "X-Request-Priority: 0",
        "X-Request-Priority: 11", "X-Request-Priority: 1 2"}) {
    ExpectJsonError(
        Ask(Post("/api/classify", FakeImage(1), std::string(header) + "\r\n")), 400);
  }
}

// --- other origins ---

class CorsTest : public ServerTest {
 protected:
  static std::string Preflight(const char* origin) {
    return fmt::format(
        "OPTIONS /api/classify HTTP/1.1\r\nHost: a\r\nOrigin: {}\r\n"
        "Access-Control-Request-Method: POST\r\n"
        "Access-Control-Request-Headers: x-api-key\r\n\r\n",
        origin);
  }
  static constexpr char kAllow[] = "access-control-allow-origin";
};

TEST_F(CorsTest, IsOffByDefault) {
  StartServer();
  EXPECT_EQ(Ask(Preflight("https://a.example")).status, 405);
  const TestResponse response = Ask(Get("/api/models", "Origin: https://a.example\r\n"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header(kAllow), "");
  EXPECT_EQ(response.Header("cross-origin-resource-policy"), "same-origin");
}

TEST_F(CorsTest, AllowsWhatItIsTold) {
  options_.cors.origins = {"https://a.example", "http://b.example:8080"};
  StartServer();
  TestClient client(port());
  TestResponse response = client.Ask(Preflight("http://b.example:8080"));
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.Header("content-length"), "");
  EXPECT_EQ(response.Header(kAllow), "http://b.example:8080");
  EXPECT_THAT(response.Header("access-control-allow-methods"), HasSubstr("POST"));
  EXPECT_THAT(response.Header("access-control-allow-headers"), HasSubstr("X-API-Key"));
  EXPECT_EQ(response.Header("vary"), "Origin");
  response =
      client.Ask(Post("/api/classify", FakeImage(3), "Origin: https://a.example\r\n"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header(kAllow), "https://a.example");
  EXPECT_EQ(response.Header("cross-origin-resource-policy"), "cross-origin");
  // Errors are to be seen as well.
  response = client.Ask(Get("/nothing", "Origin: https://a.example\r\n"));
  EXPECT_EQ(response.Header(kAllow), "https://a.example");
  for (const char* origin : {"https://a.example:8443", "https://c.example", "null",
                             "http://a.example", "https://a.example.evil.example"}) {
    EXPECT_EQ(client.Ask(Preflight(origin)).Header(kAllow), "") << origin;
    response = client.Ask(Get("/api/models", fmt::format("Origin: {}\r\n", origin)));
    EXPECT_EQ(response.Header(kAllow), "") << origin;
    EXPECT_EQ(response.Header("vary"), "Origin");
  }
  // OPTIONS that asks nothing of the kind.
  EXPECT_EQ(client.Ask("OPTIONS /api/models HTTP/1.1\r\nHost: a\r\n\r\n").status, 405);
}

TEST(CheckOriginTest, Origins) {
  for (const char* good :
       {"*", "https://a.example", "http://localhost:3000", "http://[::1]:8080"}) {
    EXPECT_OK(CheckOrigin(good));
  }
  for (const char* bad :
       {"", "a.example", "https://a.example/", "ftp://a.example", "null", "https://",
        "https://u@a.example", "https://a.example?x"}) {
    EXPECT_FALSE(CheckOrigin(bad).ok()) << bad;
  }
}

// --- compressed bodies ---

class CodingTest : public ServerTest {
 protected:
  static std::string Encoded(ContentCoding coding) {
    return fmt::format("Content-Encoding: {}\r\n", ContentCodingName(coding));
  }
};

TEST_F(CodingTest, TakesCompressedBodies) {
  StartServer();
  TestClient client(port());
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const TestResponse response = client.Ask(
        Post("/api/classify", Compress(coding, FakeImage(4)), Encoded(coding)));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_THAT(response.body, HasSubstr("\"index\":4"));
    const std::string form = FormFile("a", "a.png", FakeImage(5)) + "--xx--\r\n";
    EXPECT_THAT(client
                    .Ask(Post("/api/classify", Compress(coding, form),
                              Encoded(coding) + kFormHeader))
                    .body,
                HasSubstr("\"index\":5"));
  }
  // The header counts what was compressed.
  const std::string json =
      R"({"inputs":[{"name":"input","shape":[1],"datatype":"BYTES"}]})";
  const std::string image = FakeImage(6);
  const uint32_t size = static_cast<uint32_t>(image.size());
  const std::string body =
      json + std::string(reinterpret_cast<const char*>(&size), 4) + image;
  EXPECT_EQ(client
                .Ask(Post("/v2/models/fake/infer", Compress(ContentCoding::kGzip, body),
                          Encoded(ContentCoding::kGzip) +
                              fmt::format("Inference-Header-Content-Length: {}\r\n",
                                          json.size())))
                .status,
            200);
}

TEST_F(CodingTest, RefusesBrokenAndOtherOnes) {
  StartServer();
  const std::string good = Compress(ContentCoding::kGzip, FakeImage(4));
  const std::string gzip = Encoded(ContentCoding::kGzip);
  ExpectJsonError(Ask(Post("/api/classify", FakeImage(4), gzip)), 400);
  ExpectJsonError(Ask(Post("/api/classify", good.substr(0, good.size() - 3), gzip)), 400);
  ExpectJsonError(Ask(Post("/api/classify", good + "x", gzip)), 400);
  for (const char* coding : {"br", "gzip, gzip", "compress"}) {
    const TestResponse response =
        Ask(Post("/api/classify", good, fmt::format("Content-Encoding: {}\r\n", coding)));
    ExpectJsonError(response, 415);
    EXPECT_EQ(response.Header("accept-encoding"), "gzip, deflate");
  }
}

TEST_F(CodingTest, ABombIsStopped) {
  options_.max_body_bytes = 1 << 20;
  StartServer();
  const std::string bomb = Compress(ContentCoding::kGzip, std::string(200 << 20, 'x'));
  ASSERT_LT(bomb.size(), options_.max_body_bytes);
  ExpectJsonError(Ask(Post("/api/classify", bomb, Encoded(ContentCoding::kGzip))), 413);
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
}

TEST_F(CodingTest, AnswersAsTheClientLikes) {
  StartServer();
  TestClient client(port());
  const std::string body =
      R"({"inputs":[{"name":"input","shape":[40],"datatype":"BYTES","data":[)";
  std::string images;
  for (int i = 0; i < 40; ++i) images += std::string(i ? "," : "") + "\"iVBORw0KGgox\"";
  const std::string request = body + images + "]}]}";
  const auto ask = [&](const char* accept) {
    return client.Ask(Post("/v2/models/fake/infer", request,
                           fmt::format("Accept-Encoding: {}\r\n", accept)));
  };
  const TestResponse plain = client.Ask(Post("/v2/models/fake/infer", request));
  ASSERT_EQ(plain.status, 200) << plain.body;
  ASSERT_GT(plain.body.size(), 1024);
  EXPECT_EQ(plain.Header("content-encoding"), "");
  for (const ContentCoding coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const TestResponse response = ask(std::string(ContentCodingName(coding)).c_str());
    EXPECT_EQ(response.Header("content-encoding"), ContentCodingName(coding));
    EXPECT_EQ(response.Header("vary"), "Accept-Encoding");
    EXPECT_LT(response.body.size(), plain.body.size() / 2);
    Decompressor decompressor(coding);
    std::string all;
    ASSERT_OK(decompressor.Feed(response.body, [&](std::string_view out) {
      all += out;
      return absl::OkStatus();
    }));
    EXPECT_OK(decompressor.Finish());
    EXPECT_EQ(all, plain.body);
  }
  EXPECT_EQ(ask("br").body, plain.body);
  EXPECT_EQ(ask("gzip;q=0").body, plain.body);
  // What is small stays as it is.
  EXPECT_EQ(
      client.Ask(Get("/healthz", "Accept-Encoding: gzip\r\n")).Header("content-encoding"),
      "");
}

}  // namespace
}  // namespace oriel::serving::http
