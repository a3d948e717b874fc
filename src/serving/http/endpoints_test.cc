// What each endpoint answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(ServerTest, ClassifiesRawBytes) {
  StartServer();
  const TestResponse response = Ask(Post("/api/classify?top_k=3", FakeImage(4)));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.Header("content-type"), "application/json");
  EXPECT_EQ(response.Header("cache-control"), "no-store");
  const auto body = boost::json::parse(response.body);
  EXPECT_EQ(body.at("model").at("name").as_string(), "fake");
  EXPECT_EQ(body.at("model").at("version").as_string(), "7");
  ASSERT_EQ(body.at("images").as_array().size(), 1);
  const auto& image = body.at("images").at(0);
  ASSERT_EQ(image.at("predictions").as_array().size(), 3);
  const auto& best = image.at("predictions").at(0);
  EXPECT_EQ(best.at("index").as_int64(), 4);
  EXPECT_EQ(best.at("wnid").as_string(), "n00000004");
  EXPECT_EQ(best.at("label").as_string(), "label 4 <b>&\"");
  EXPECT_EQ(best.at("probability").as_double(), 0.75);
  for (const char* name : {"queue", "preprocess", "compute"}) {
    EXPECT_GE(image.at("timings_ms").at(name).to_number<double>(), 0);
  }
  EXPECT_GE(body.at("timings_ms").at("total").to_number<double>(),
            image.at("timings_ms").at("compute").to_number<double>());
}

TEST_F(ServerTest, TakesAnyImageTypeOrNone) {
  StartServer();
  for (const char* type :
       {"", "Content-Type: image/jpeg\r\n", "Content-Type: application/octet-stream\r\n",
        "Content-Type: IMAGE/x-whatever; a=b\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n"}) {
    EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1), type)).status, 200) << type;
  }
  for (const char* type :
       {"Content-Type: text/html\r\n", "Content-Type: ;;\r\n",
        "Content-Type: application/json\r\n", "Content-Encoding: br\r\n"}) {
    ExpectJsonError(Ask(Post("/api/classify", FakeImage(1), type)), 415);
  }
}

TEST_F(ServerTest, TopKAndExifArguments) {
  StartServer();
  const auto count = [&](const char* target) {
    const auto body = boost::json::parse(Ask(Post(target, FakeImage(1))).body);
    return body.at("images").at(0).at("predictions").as_array().size();
  };
  EXPECT_EQ(count("/api/classify"), 5);
  EXPECT_EQ(count("/api/classify?top_k=1&honor_exif=false"), 1);
  EXPECT_EQ(count("/api/classify?top_k=99999"), FakeSession::kClasses);
  for (const char* target :
       {"/api/classify?top_k=0", "/api/classify?top_k=-1",
        "/api/classify?top_k=", "/api/classify?top_k=3x",
        "/api/classify?top_k=99999999999999999999", "/api/classify?honor_exif=maybe"}) {
    ExpectJsonError(Ask(Post(target, FakeImage(1))), 400);
  }
}

TEST_F(ServerTest, NotAnImageIs415AnEmptyOrBrokenOne400) {
  StartServer();
  ExpectJsonError(Ask(Post("/api/classify", "just text")), 415);
  ExpectJsonError(Ask(Post("/api/classify", "")), 400);
  ExpectJsonError(Ask(Post("/api/classify", std::string(kFakeSignature) + "?")), 400);
}

TEST_F(ServerTest, FormWithSeveralFilesAnswersEach) {
  StartServer();
  const TestResponse response =
      Ask(PostForm("/api/classify", FormFile("a", "one.png", FakeImage(1)) +
                                        FormFile("b", "text.txt", "no image") +
                                        FormFile("c", "th\xc3\xb6.png", FakeImage(3))));
  ASSERT_EQ(response.status, 200) << response.body;
  const auto images = boost::json::parse(response.body).at("images").as_array();
  ASSERT_EQ(images.size(), 3);
  EXPECT_EQ(images[0].at("filename").as_string(), "one.png");
  EXPECT_EQ(images[0].at("predictions").at(0).at("index").as_int64(), 1);
  EXPECT_EQ(images[1].at("status").as_int64(), 415);
  EXPECT_FALSE(images[1].at("error").as_string().empty());
  EXPECT_EQ(images[2].at("filename").as_string(), "th\xc3\xb6.png");
  EXPECT_EQ(images[2].at("predictions").at(0).at("index").as_int64(), 3);
}

TEST_F(ServerTest, FormWithoutOneGoodImageFails) {
  StartServer();
  ExpectJsonError(Ask(PostForm("/api/classify", FormFile("a", "x", "no"))), 415);
  const TestResponse both =
      Ask(PostForm("/api/classify", FormFile("a", "x", "no") + FormFile("b", "y", "no")));
  EXPECT_EQ(both.status, 415);
  EXPECT_EQ(boost::json::parse(both.body).at("images").as_array().size(), 2);
  ExpectJsonError(Ask(PostForm("/api/classify", "")), 400);
  ExpectJsonError(
      Ask(PostForm("/api/classify",
                   "--xx\r\nContent-Disposition: form-data; name=a\r\n\r\ntext\r\n")),
      400);
}

TEST_F(ServerTest, MoreImagesThanTheLimitAreRefused) {
  app_options_.max_images = 2;
  StartServer();
  std::string form;
  for (int i = 0; i < 3; ++i) form += FormFile("f", "x.png", FakeImage(i));
  ExpectJsonError(Ask(PostForm("/api/classify", form)), 400);
  EXPECT_EQ(session_->runs(), warm_up_runs_);
}

TEST_F(ServerTest, ThePage) {
  StartServer();
  const TestResponse response = Ask(Get("/"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(response.body, HasSubstr("Fake &lt;Net&gt;"));
  EXPECT_THAT(response.body, Not(HasSubstr("Fake <Net>")));
  EXPECT_THAT(response.body, HasSubstr("name=\"file\""));
  EXPECT_THAT(response.body, HasSubstr("weights.example"));
  const std::string policy = response.Header("content-security-policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(response.Header("x-content-type-options"), "nosniff");
  EXPECT_EQ(response.Header("referrer-policy"), "no-referrer");
}

TEST_F(ServerTest, ThePageSaysTheNotice) {
  app_options_.note = "Another <model> was not there";
  StartServer();
  EXPECT_THAT(Ask(Get("/")).body, HasSubstr("Another &lt;model&gt; was not there"));
}

TEST_F(ServerTest, FormAnswersAPageWithPictureAndLabels) {
  StartServer();
  const TestResponse response =
      Ask(PostForm("/", FormFile("file", "<script>.png", FakeImage(6))));
  ASSERT_EQ(response.status, 200) << response.body;
  // base64 of the bytes, made by coreutils
  EXPECT_THAT(response.body, HasSubstr("src=\"data:image/png;base64,iVBORw0KGgo2\""));
  EXPECT_THAT(response.body, HasSubstr("label 6 &lt;b&gt;&amp;&quot;"));
  EXPECT_THAT(response.body, HasSubstr("75.0"));
  EXPECT_THAT(response.body, HasSubstr("&lt;script&gt;.png"));
  EXPECT_THAT(response.body, Not(HasSubstr("<script>.png")));
}

TEST_F(ServerTest, FormErrorsAreInWordsOnThePage) {
  StartServer();
  const TestResponse text = Ask(PostForm("/", FormFile("file", "a.txt", "text")));
  EXPECT_EQ(text.status, 415);
  EXPECT_THAT(text.body, HasSubstr("not an image"));
  EXPECT_THAT(text.body, HasSubstr("<form"));
  // No file chosen: what browsers send.
  const TestResponse none = Ask(PostForm("/", FormFile("file", "", "")));
  EXPECT_EQ(none.status, 400);
  EXPECT_EQ(none.Header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(Ask(Post("/", FakeImage(1))).status, 415);
  // The field has the name the demo gave it.
  EXPECT_EQ(Ask(PostForm("/", FormFile("photo", "a.png", FakeImage(1)))).status, 400);
}

TEST_F(ServerTest, LargePicturesAreNotSentBack) {
  app_options_.max_echo_bytes = 100;
  StartServer();
  const TestResponse response =
      Ask(PostForm("/", FormFile("file", "a.png", FakeImage(6, 200))));
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, Not(HasSubstr("src=\"data:image")));
  EXPECT_THAT(response.body, HasSubstr("label 6"));
}

TEST_F(ServerTest, StaticFilesAreCachedByEtag) {
  StartServer();
  for (const auto& [path, type] :
       {std::pair{"/style.css", "text/css; charset=utf-8"},
        std::pair{"/script.js", "text/javascript; charset=utf-8"}}) {
    const TestResponse first = Ask(Get(path));
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.Header("content-type"), type);
    EXPECT_FALSE(first.body.empty());
    const TestResponse again =
        Ask(Get(path, "If-None-Match: " + first.Header("etag") + "\r\n"));
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
  }
}

TEST_F(ServerTest, HealthAndReadiness) {
  StartServer(/*with_model=*/false);
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
  const TestResponse loading = Ask(Get("/readyz"));
  ExpectJsonError(loading, 503);
  EXPECT_NE(loading.Header("retry-after"), "");
  const TestResponse classify = Ask(Post("/api/classify", FakeImage(1)));
  ExpectJsonError(classify, 503);
  EXPECT_NE(classify.Header("retry-after"), "");
  EXPECT_THAT(Ask(Get("/")).body, HasSubstr("still loading"));
  LoadModel();
  EXPECT_EQ(Ask(Get("/readyz")).status, 200);
  EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1))).status, 200);
}

TEST_F(ServerTest, UnknownAddressesAndWrongMethods) {
  StartServer();
  ExpectJsonError(Ask(Get("/nothing")), 404);
  ExpectJsonError(Ask(Get("/api/classify/")), 404);
  ExpectJsonError(Ask(Get("/../etc/passwd")), 404);
  const TestResponse html = Ask(Get("/nothing", "Accept: text/html,*/*\r\n"));
  EXPECT_EQ(html.status, 404);
  EXPECT_EQ(html.Header("content-type"), "text/html; charset=utf-8");
  const TestResponse get = Ask(Get("/api/classify"));
  ExpectJsonError(get, 405);
  EXPECT_EQ(get.Header("allow"), "POST");
  const TestResponse put = Ask("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(put.status, 405);
  EXPECT_EQ(put.Header("allow"), "GET, HEAD, POST");
  EXPECT_EQ(Ask("BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n").Header("allow"),
            "GET, HEAD");
}

TEST_F(ServerTest, HeadAnswersGetWithoutItsBody) {
  StartServer();
  for (const char* path : {"/", "/style.css", "/healthz"}) {
    const TestResponse get = Ask(Get(path));
    TestClient client(port());
    client.Send(fmt::format("HEAD {} HTTP/1.1\r\nHost: a\r\n\r\n", path));
    const TestResponse head = client.Receive(/*head_request=*/true);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.Header("content-length"), get.Header("content-length"));
    // Nothing stands between it and the next answer.
    EXPECT_EQ(client.Ask(Get("/healthz")).status, 200);
  }
}

TEST_F(ServerTest, RequestIds) {
  StartServer();
  EXPECT_EQ(Ask(Get("/healthz", "X-Request-Id: abc-1.2_Z\r\n")).Header("x-request-id"),
            "abc-1.2_Z");
  const std::string own =
      Ask(Get("/healthz", "X-Request-Id: a b<c>\r\n")).Header("x-request-id");
  EXPECT_NE(own, "");
  EXPECT_EQ(own.find('<'), std::string::npos);
  EXPECT_NE(Ask(Get("/healthz")).Header("x-request-id"),
            Ask(Get("/healthz")).Header("x-request-id"));
}

TEST_F(ServerTest, ManyClientsEachGetTheirOwnAnswer) {
  StartServer();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      TestClient client(port());
      for (int i = 0; i < 50; ++i) {
        const int shown = (t * 7 + i) % 10;
        const TestResponse response =
            client.Ask(Post("/api/classify", FakeImage(shown, i * 100)));
        boost::json::error_code ec;
        const auto body = boost::json::parse(response.body, ec);
        if (response.status != 200 ||
            body.at("images").at(0).at("predictions").at(0).at("index").as_int64() !=
                shown) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace oriel::serving::http
