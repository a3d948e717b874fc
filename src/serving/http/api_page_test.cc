#include "serving/http/api_page.h"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <set>

#include "serving/http/router.h"
#include "serving/http/server_test_fixture.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;
using testing::Not;

class ApiPageTest : public ServerTest {};

// What people are shown is no API, and this is not what the document is about.
bool IsForPrograms(const Route& route) { return route.audience == Audience::kProgram; }

std::string Operation(const Route& route) {
  return fmt::format("{} {}", route.method == Method::kGet ? "get" : "post", route.path);
}

TEST_F(ApiPageTest, TheDocumentHasEveryRoute) {
  StartServer();
  const TestResponse response = Ask(Get("/api/openapi.json"));
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.Header("content-type"), "application/json");
  const auto document = boost::json::parse(response.body);
  EXPECT_EQ(document.at("info").at("version").as_string(), ORIEL_VERSION);
  std::set<std::string> documented, routed;
  for (const auto& [path, item] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : item.as_object()) {
      if (method == "parameters") continue;
      documented.insert(fmt::format("{} {}", std::string(method), std::string(path)));
    }
  }
  for (const Route& route : Routes()) {
    if (IsForPrograms(route)) routed.insert(Operation(route));
  }
  EXPECT_EQ(documented, routed);
}

TEST_F(ApiPageTest, ThePageTellsOfEveryRoute) {
  StartServer();
  const TestResponse response = Ask(Get("/api"));
  ASSERT_EQ(response.status, 200);
  EXPECT_THAT(response.Header("content-type"), HasSubstr("text/html"));
  for (const Route& route : Routes()) {
    if (!IsForPrograms(route)) continue;
    EXPECT_THAT(response.body, HasSubstr(fmt::format("<code>{}</code>", route.path)));
  }
  EXPECT_THAT(response.body, HasSubstr("X-Request-Priority"));
  EXPECT_THAT(response.body, HasSubstr("curl --data-binary @cat.jpg test/api/classify"));
  EXPECT_THAT(response.body, Not(HasSubstr("{{")));
}

TEST_F(ApiPageTest, TheHostIsTextOnThePage) {
  StartServer();
  const TestResponse response =
      Ask("GET /api HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n");
  EXPECT_THAT(response.body, Not(HasSubstr("<script>alert")));
}

TEST(DescribeApiTest, Errors) {
  for (const char* text :
       {"", "{}", "[]", R"({"info":1,"tags":[],"paths":{}})",
        R"({"info":{},"tags":[{"name":"a"}],"paths":{"/":{"get":{}}}})"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DescribeApi(text).status())) << text;
  }
}

}  // namespace
}  // namespace oriel::serving::http
