#include "serving/http/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serving/http/server_test_fixture.h"
#include "serving/log.h"

namespace oriel::serving::http {
namespace {

using testing::HasSubstr;

class AdministrationTest : public ServerTest {
 protected:
  void StartAdministration() {
    options_.serves = Serves::kAdministration;
    StartServer();
  }
  void TearDown() override { ChangeLogSettings({}); }
};

TEST_F(AdministrationTest, LogSettings) {
  StartAdministration();
  const std::string before = Ask(Get("/v2/logging")).body;
  EXPECT_EQ(before,
            R"({"log_file":"","log_info":true,"log_warning":true,"log_error":true,)"
            R"("log_verbose_level":0,"log_format":"text","log_access":true})"
            "\n");
  const TestResponse changed =
      Ask(Post("/v2/logging", R"({"log_info":false,"log_verbose_level":7})"));
  EXPECT_EQ(changed.status, 200) << changed.body;
  EXPECT_FALSE(CurrentLogSettings().info);
  EXPECT_EQ(CurrentLogSettings().verbose, 2);
  EXPECT_EQ(Ask(Get("/v2/logging")).body, changed.body);
  EXPECT_EQ(
      Ask(Post("/v2/logging", R"({"log_format":"json","log_access":false})")).status,
      200);
  EXPECT_EQ(CurrentLogSettings().format, LogFormat::kJson);
  EXPECT_FALSE(CurrentLogSettings().access);
  EXPECT_FALSE(CurrentLogSettings().info);
}

TEST_F(AdministrationTest, ABadSettingChangesNothing) {
  StartAdministration();
  for (const auto& [body, reason] : {
           std::pair(R"({"log_info":false,"log_inof":true})", "log_inof"),
           std::pair(R"({"log_info":1})", "log_info"),
           std::pair(R"({"log_info":false,"log_file":"/etc/passwd"})", "log_file"),
           std::pair(R"({"log_verbose_level":-1})", "log_verbose_level"),
           std::pair(R"({"log_verbose_level":0.5})", "log_verbose_level"),
           std::pair(R"({"log_format":"xml"})", "log_format"),
           std::pair("[]", "object"),
           std::pair("{", "JSON"),
       }) {
    const TestResponse response = Ask(Post("/v2/logging", body));
    ExpectJsonError(response, 400);
    EXPECT_THAT(response.body, HasSubstr(reason));
    EXPECT_TRUE(CurrentLogSettings().info) << body;
  }
}

TEST_F(AdministrationTest, NothingElseIsServedThere) {
  StartAdministration();
  for (const char* path : {"/", "/api/models", "/v2", "/v1/models/fake"}) {
    ExpectJsonError(Ask(Get(path, "Accept: application/json\r\n")), 404);
  }
  ExpectJsonError(Ask(Post("/api/classify", FakeImage(1))), 404);
  for (const char* path : {"/metrics", "/healthz", "/readyz", "/v2/health/live"}) {
    EXPECT_EQ(Ask(Get(path)).status, 200) << path;
  }
}

TEST_F(AdministrationTest, LoadsAndUnloadsThere) {
  StartAdministration();
  EXPECT_EQ(Ask(Post("/v2/repository/models/fake/unload", "")).status, 200);
  EXPECT_FALSE(repository_->Get({}).ok());
  EXPECT_EQ(Ask(Post("/v2/repository/models/fake/load", "")).status, 200);
  EXPECT_TRUE(repository_->Get({}).ok());
}

TEST_F(AdministrationTest, IsNotServedBesideIt) {
  options_.serves = Serves::kAllButAdministration;
  StartServer();
  for (const char* path : {"/metrics", "/v2/logging"}) {
    ExpectJsonError(Ask(Get(path)), 404);
  }
  for (const char* path : {"/v2/logging", "/v2/repository/models/fake/unload"}) {
    ExpectJsonError(Ask(Post(path, "{}")), 404);
  }
  EXPECT_EQ(Ask(Post("/api/classify", FakeImage(1))).status, 200);
  EXPECT_EQ(Ask(Get("/healthz")).status, 200);
}

TEST_F(AdministrationTest, WithoutAnAddressOfItsOwnTheLogIsChangedWithAKeyOnly) {
  StartServer();
  EXPECT_EQ(Ask(Get("/v2/logging")).status, 200);
  ExpectJsonError(Ask(Post("/v2/logging", R"({"log_error":false})")), 403);
  EXPECT_TRUE(CurrentLogSettings().error);
}

}  // namespace
}  // namespace oriel::serving::http
