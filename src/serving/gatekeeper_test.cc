#include "serving/gatekeeper.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/testing.h"
#include "serving/testing.h"

namespace oriel::serving {
namespace {

class GatekeeperTest : public testing::Test {
 protected:
  GatekeeperTest() : path_(folder_.path() / "keys") {}

  void WriteKeys(const std::string& text) {
    ASSERT_OK(WriteFileAtomically(path_, text));
    std::filesystem::permissions(path_, std::filesystem::perms{0600});
  }
  absl::StatusCode Ask(Access access, std::string_view key,
                       std::string_view address = "::1") {
    return gatekeeper_->Admit(access, {.key = key, .address = address}).status.code();
  }
  void Make(GatekeeperOptions options) {
    ASSERT_OK_AND_ASSIGN(gatekeeper_, Gatekeeper::Create(std::move(options), clock_));
  }

  TemporaryDirectory folder_;
  std::filesystem::path path_;
  FakeClock clock_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
};

TEST_F(GatekeeperTest, LetsEverybodyInWithoutKeys) {
  Make({});
  EXPECT_FALSE(gatekeeper_->needs_keys());
  for (const Access access :
       {Access::kPublic, Access::kUse, Access::kMetrics, Access::kAdmin}) {
    const Admission admission =
        gatekeeper_->Admit(access, {.key = "x", .address = "::1"});
    EXPECT_OK(admission.status);
    EXPECT_FALSE(admission.is_admin);
  }
}

TEST_F(GatekeeperTest, KeysOpenWhatTheyAreFor) {
  WriteKeys(ApiKeyLine(Access::kUse, "shop", "a") + "\n" +
            ApiKeyLine(Access::kAdmin, "me", "b") + "\n");
  Make({.api_keys = path_});
  EXPECT_TRUE(gatekeeper_->needs_keys());
  EXPECT_EQ(Ask(Access::kPublic, ""), absl::StatusCode::kOk);
  EXPECT_EQ(Ask(Access::kUse, ""), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(Access::kUse, "c"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(Access::kUse, "a"), absl::StatusCode::kOk);
  EXPECT_EQ(Ask(Access::kMetrics, "a"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Ask(Access::kAdmin, "a"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Ask(Access::kAdmin, "b"), absl::StatusCode::kOk);
  const Admission admission = gatekeeper_->Admit(Access::kUse, {.key = "b"});
  EXPECT_EQ(admission.key_name, "me");
  EXPECT_TRUE(admission.is_admin);
}

TEST_F(GatekeeperTest, KeysAreExchanged) {
  WriteKeys(ApiKeyLine(Access::kUse, "shop", "a"));
  Make({.api_keys = path_});
  WriteKeys(ApiKeyLine(Access::kUse, "shop", "b"));
  EXPECT_EQ(Ask(Access::kUse, "a"), absl::StatusCode::kOk);
  EXPECT_OK(gatekeeper_->Reload());
  EXPECT_EQ(Ask(Access::kUse, "a"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(Access::kUse, "b"), absl::StatusCode::kOk);
  WriteKeys("nonsense");
  EXPECT_FALSE(gatekeeper_->Reload().ok());
  EXPECT_EQ(Ask(Access::kUse, "b"), absl::StatusCode::kOk);
  EXPECT_FALSE(Gatekeeper::Create({.api_keys = path_}, clock_).ok());
}

TEST_F(GatekeeperTest, RatesAreByKeyElseByAddress) {
  WriteKeys(ApiKeyLine(Access::kUse, "shop", "a"));
  Make({.api_keys = path_, .rate_limit = RateLimit{.per_second = 1, .burst = 2}});
  EXPECT_EQ(Ask(Access::kUse, "a", "10.0.0.1"), absl::StatusCode::kOk);
  EXPECT_EQ(Ask(Access::kUse, "a", "10.0.0.2"), absl::StatusCode::kOk);
  const Admission late = gatekeeper_->Admit(Access::kUse, {"a", "10.0.0.3"});
  EXPECT_EQ(late.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(late.retry_after, std::chrono::seconds(1));
  // Guessing is counted too.
  EXPECT_EQ(Ask(Access::kUse, "x", "10.0.0.1"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(Access::kUse, "y", "10.0.0.1"), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(Access::kUse, "z", "10.0.0.1"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Ask(Access::kUse, "z", "10.0.0.2"), absl::StatusCode::kUnauthenticated);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Ask(Access::kPublic, "", "10.0.0.1"), absl::StatusCode::kOk);
  }
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Ask(Access::kUse, "a"), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace oriel::serving
