#include "serving/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/testing.h"

namespace oriel::serving {
namespace {

using testing::HasSubstr;

// printf secret | sha256sum
constexpr char kSecretHash[] =
    "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

TEST(ApiKeysTest, FindsKeysByWhatTheyHashTo) {
  ASSERT_OK_AND_ASSIGN(const ApiKeys keys,
                       ApiKeys::Parse(fmt::format(
                           "# those of the shop\n\nuse\tshop  {}\r\n"
                           "admin me {} # mine\nmetrics prometheus {}",
                           kSecretHash, std::string(64, 'A'), std::string(64, '0'))));
  EXPECT_EQ(keys.size(), 3);
  const ApiKeys::Key* key = keys.Find("secret");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->name, "shop");
  EXPECT_TRUE(ApiKeys::Opens(*key, Access::kUse));
  EXPECT_TRUE(ApiKeys::Opens(*key, Access::kPublic));
  EXPECT_FALSE(ApiKeys::Opens(*key, Access::kMetrics));
  EXPECT_FALSE(ApiKeys::Opens(*key, Access::kAdmin));
  for (const char* wrong : {"", "Secret", "secret ", kSecretHash}) {
    EXPECT_EQ(keys.Find(wrong), nullptr) << wrong;
  }
  EXPECT_EQ(keys.Find(std::string(10 << 20, 'x')), nullptr);
}

TEST(ApiKeysTest, NewKeysOpenWhatTheirLineSays) {
  std::set<std::string> all;
  for (const Access scope : {Access::kUse, Access::kMetrics, Access::kAdmin}) {
    const std::string key = NewApiKey();
    EXPECT_EQ(key.size(), 49);
    EXPECT_TRUE(all.insert(key).second);
    const std::string line = ApiKeyLine(scope, "me", key);
    EXPECT_EQ(line.find(key), std::string::npos);
    ASSERT_OK_AND_ASSIGN(const ApiKeys keys, ApiKeys::Parse(line));
    const ApiKeys::Key* found = keys.Find(key);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->scope, scope);
    EXPECT_EQ(ApiKeys::Opens(*found, Access::kUse), scope != Access::kMetrics);
    EXPECT_EQ(ApiKeys::Opens(*found, Access::kMetrics), scope != Access::kUse);
    EXPECT_EQ(ApiKeys::Opens(*found, Access::kAdmin), scope == Access::kAdmin);
  }
}

TEST(ApiKeysTest, Errors) {
  const std::string hash = kSecretHash;
  const std::pair<std::string, const char*> cases[] = {
      {"", "no key"},
      {"# nothing\n", "no key"},
      {"\nroot me " + hash, "line 2: scope 'root'"},
      {"use", "line 1: name ''"},
      {"use m\xc3\xa9 " + hash, "line 1: name"},
      {"use me", "64 hex digits"},
      {"use me secret", "64 hex digits"},
      {"use me " + hash + "0", "64 hex digits"},
      {"use me " + hash + " more", "64 hex digits"},
      {"use me " + hash + "\nuse me " + std::string(64, '0'),
       "line 2: name 'me' comes twice"},
      {"use me " + hash + "\nuse you " + hash, "line 2: 'you' has the key of 'me'"}};
  for (const auto& [text, reason] : cases) {
    EXPECT_THAT(ApiKeys::Parse(text).status().ToString(), HasSubstr(reason)) << text;
  }
  // The key itself, put there by mistake, stays out of messages.
  EXPECT_THAT(ApiKeys::Parse("use me oriel_secret").status().ToString(),
              Not(HasSubstr("oriel_secret")));
}

TEST(ApiKeysTest, FilesThatOthersMayWriteAreRefused) {
  const TemporaryDirectory folder;
  const auto path = folder.path() / "keys";
  ASSERT_OK(WriteFileAtomically(path, fmt::format("use me {}\n", kSecretHash)));
  std::filesystem::permissions(path, std::filesystem::perms{0600});
  EXPECT_OK(ApiKeys::Read(path).status());
  std::filesystem::permissions(path, std::filesystem::perms{0660});
  EXPECT_TRUE(absl::IsPermissionDenied(ApiKeys::Read(path).status()));
  EXPECT_TRUE(absl::IsNotFound(ApiKeys::Read(folder.path() / "none").status()));
}

}  // namespace
}  // namespace oriel::serving
